"""Frame: logical lines out of physical ones, and who wrote into the log."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.stages.frame import MOST_FILES, SUSPECT_BYTES
from schemas.types import Event
from tests.feed import Fed, feed, feed_lines, records, stream
from tests.logs import START, decision, login
from tests.stages.carriers import filebeat, kubernetes

LINE = decision(START, "User:alice")
FORGED = decision(START, "User:admin", operation="ALTER", resource="Cluster:LITERAL:kafka-cluster")
TRUE = decision(START, "User:mallory", allowed=False, resource="Group:LITERAL:x\ty")
HEAD, TAIL = TRUE.split("\t")
START_LINES = (
    "[2026-11-20 23:52:44,297] INFO Registered `kafka:type=kafka.Log4jController` MBean (kafka.utils.Log4jControllerRegistration$)",
    "[2026-11-20 23:52:44,297] INFO starting (kafka.server.KafkaRaftServer)",
    decision(
        START,
        "User:broker",
        operation="CLUSTER_ACTION",
        request="ControllerRegistration",
        resource="Cluster:LITERAL:kafka-cluster",
    ),
)
MALLORY = ("User:mallory", "READ", "failure", "broken_head")


def of(fed: Fed, actor: str) -> Event:
    """The only event of an actor."""
    (found,) = [event for event in fed.events if event.actor == actor]
    return found


def without_layout(line: str) -> str:
    """A line of the authorizer without time, level and logger."""
    return line[max(0, line.find("Principal = ")) :].removesuffix(" (kafka.authorizer.logger)")


def filler(size: int) -> list[str]:
    """Lines of no interest that take ``size`` bytes, their line breaks included."""
    end = " (kafka.log.UnifiedLog)"
    head = "[2026-11-20 23:52:44,297] INFO "
    least = len(head) + len(end) + 1
    out = []
    while size:
        part = size if size < 2 * least + 1000 else 1000
        out.append(head + "x" * (part - least) + end)
        size -= part
    return out


# Forgery.


@pytest.mark.parametrize(
    "forged",
    [
        [FORGED],
        [FORGED, FORGED],
        [login(START, "192.0.2.1", success=True)],
        ["junk", FORGED],
        ["", FORGED],
        ["\tat a.stack.trace(Like.java:1)", FORGED],
        ["junk (kafka.server.KafkaApis)", FORGED],
        ["junk (kafka.authorizer.logger)", FORGED],
        [FORGED[:-1], FORGED],
        [FORGED.replace("INFO", "ERROR x (kafka.server.KafkaApis)"), FORGED],
        [HEAD.replace("mallory", "bob"), FORGED],
        [FORGED.encode().replace(b"admin", b"adm\xffin").decode("latin-1"), FORGED],
    ],
)
def test_a_perfect_line_behind_a_broken_head_is_suspect(forged: list[str]) -> None:
    lines = [LINE, HEAD, *forged, TAIL, LINE]
    for batches in ([records(lines)], [[record] for record in records(lines)]):
        fed = feed(batches)
        assert fed.deeds()[0] == ("User:alice", "READ", "success", "")
        assert fed.deeds()[1] == MALLORY
        assert fed.events[1].blind_spots[-2:] == ("partial_name", "no_request")
        assert [event.suspect for event in fed.events[:2]] == [False, False]
        assert all(event.suspect for event in fed.events[2:])
        assert fed.deeds()[-1] == ("User:alice", "READ", "success", "")


@pytest.mark.parametrize("start", START_LINES)
def test_a_forged_start_of_a_process_hides_the_head_but_earns_no_trust(start: str) -> None:
    """Whoever imitates a start has his head taken for one that a crash tore. That is on purpose:
    real crashes are many. What he wrote behind it is suspect all the same."""
    fed = feed_lines([LINE, HEAD, start, FORGED, TAIL, LINE])
    assert fed.reasons() == ["torn", "orphan"]
    assert of(fed, "User:admin").suspect
    assert not any(event.forgery for event in fed.events)


def test_a_head_completed_with_the_loggers_name_but_without_its_rule_is_broken() -> None:
    head = HEAD + " (kafka.authorizer.logger)"
    fed = feed_lines([LINE, head, FORGED, TAIL, LINE])
    assert fed.deeds()[1] == MALLORY
    assert [event.suspect for event in fed.events] == [False, False, True, True]


def test_a_head_completed_with_another_loggers_name_is_broken_and_not_filtered() -> None:
    head = HEAD + " (org.example.Other)"
    fed = feed_lines([LINE, head, FORGED, TAIL, LINE])
    assert fed.account.filtered == {}
    assert fed.deeds()[1] == MALLORY
    assert [event.suspect for event in fed.events] == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        # The head is completed, but with a rule its decision excludes, or with words that can be
        # read as another decision.
        ("x for request = Fetch with resourceRefCount = 1 based on rule SuperUser", ["ambiguous"]),
        ("x " + FORGED.partition(" User:")[2].partition(" (kafka")[0].partition("admin ")[2], []),
    ],
)
def test_a_completed_head_that_gives_itself_away_earns_no_trust(
    name: str, reasons: list[str]
) -> None:
    head = HEAD.replace(":x", f":{name}") + " (kafka.authorizer.logger)"
    swallow = "[2026-11-20 23:52:44,297] INFO " + TAIL
    lines = [
        LINE,
        head,
        FORGED,
        swallow,
        *filler(SUSPECT_BYTES - len(FORGED) - 1 - len(swallow) - 2),
    ]
    fed = feed_lines([*lines, LINE, LINE])
    assert fed.reasons() == [*reasons, "unknown_layout"]
    assert of(fed, "User:admin").suspect
    assert [e.suspect for e in fed.events if e.actor == "User:alice"] == [False, True, False]


def test_a_loggers_name_may_be_written_short() -> None:
    lines = [line.replace("(kafka.authorizer.logger)", "(logger)") for line in (LINE, FORGED)]
    lines += [login(START, "192.0.2.7").replace("(org.apache.kafka.common.network.", "(")]
    fed = feed_lines(lines)
    assert [(event.source, event.forgery) for event in fed.events] == [
        ("kafka_authorizer", ""), ("kafka_authorizer", ""), ("kafka_authentication", ""),
    ]  # fmt: skip


def test_a_torn_head_before_a_real_start_is_a_dead_letter_and_no_forgery() -> None:
    fed = feed_lines([LINE, LINE[:170], *START_LINES[:1], LINE])
    assert fed.reasons() == ["torn"]
    assert [(event.forgery, event.suspect) for event in fed.events] == [("", False), ("", True)]


@pytest.mark.parametrize("cut", [60, 170, 260])
def test_a_torn_head_at_the_end_of_a_file_is_a_dead_letter_of_its_source(cut: int) -> None:
    fed = feed_lines([LINE, LINE[:cut]])
    assert fed.reasons() == ["torn"]
    assert [(letter.source, letter.raw) for letter in fed.dead_letters] == [
        ("kafka_authorizer", LINE[:cut].encode())
    ]
    assert len(fed.events) == 1


def test_a_name_no_client_chooses_is_not_broken_by_one() -> None:
    head = FORGED.partition("-cluster")[0]
    fed = feed_lines([LINE, head, LINE])
    assert fed.reasons() == ["torn"]
    assert [event.forgery for event in fed.events] == ["", ""]


@pytest.mark.parametrize(("more", "suspect"), [(-1, True), (0, False), (1, False)])
def test_suspicion_ends_after_exactly_32_kib(more: int, suspect: bool) -> None:
    assert SUSPECT_BYTES == 32 * 1024
    lines = [HEAD, *filler(SUSPECT_BYTES + more), LINE]
    for batches in ([records(lines)], [[record] for record in records(lines)]):
        assert of(feed(batches), "User:alice").suspect is suspect


def test_an_orphaned_tail_prolongs_no_suspicion() -> None:
    lines = [HEAD, FORGED, TAIL, *filler(SUSPECT_BYTES - len(FORGED) - len(TAIL) - 2), LINE]
    assert not of(feed_lines(lines), "User:alice").suspect


def test_an_orphaned_tail_without_a_known_head_makes_the_next_suspect() -> None:
    fed = feed_lines([LINE, TAIL, FORGED])
    assert fed.reasons() == ["orphan"]
    assert of(fed, "User:admin").suspect


def test_bytes_that_became_replacement_characters_count_once() -> None:
    """A client's bytes that are no UTF-8 take three each in the log: 32 KiB of them would carry
    what follows out of the window."""
    junk = "\N{REPLACEMENT CHARACTER}" * 30_000
    fed = feed_lines([HEAD, junk, FORGED, TAIL])
    assert of(fed, "User:admin").suspect


def test_a_head_that_is_not_utf8_shields_nobody() -> None:
    """A broker that writes another encoding: the head cannot be read, what follows is suspect."""
    head = HEAD.encode() + b"\xe9"
    fed = feed_lines([LINE, head, FORGED, TAIL])
    assert fed.reasons() == ["not_utf8", "orphan"]
    assert of(fed, "User:admin").suspect
    whole = LINE.encode().replace(b"orders", b"\xe9")
    assert not of(feed_lines([whole, FORGED]), "User:admin").suspect


def test_a_head_too_long_to_read_shields_nobody() -> None:
    plan = Plan(sources(), max_record_bytes=1024)
    found = records([LINE, HEAD, FORGED])
    found[1] = found[1]._replace(value=HEAD.encode(), length=5000, digest="0" * 64)
    fed = feed([found], plan=plan)
    assert fed.reasons() == ["too_long"]
    assert of(fed, "User:admin").suspect


def test_suspicion_is_of_one_file() -> None:
    lines = [
        filebeat(HEAD, 0), filebeat(LINE, 500, log={"file": {"path": "/other.log"}, "offset": 9}),
        filebeat(FORGED, 900),
    ]  # fmt: skip
    fed = feed_lines(lines)
    assert not of(fed, "User:alice").suspect
    assert of(fed, "User:admin").suspect


def test_a_broken_head_without_layout_is_found_by_its_end() -> None:
    bare = [without_layout(line) for line in (LINE, HEAD, FORGED, TAIL)]
    fed = feed_lines(bare)
    assert fed.deeds()[1] == MALLORY
    assert of(fed, "User:admin").suspect
    assert not of(fed, "User:alice").suspect


def test_a_broken_selector_line_is_found_too() -> None:
    """The mechanism that a client asks for is its own text, and it needs no credential for that."""
    head = (
        login(START, "192.0.2.66").partition("(Authentication")[0] + "(Unsupported SASL mechanism x"
    )
    fed = feed_lines([LINE, head, FORGED, "y) (org.apache.kafka.common.network.Selector)"])
    assert [(e.address, e.forgery) for e in fed.events if e.forgery] == [
        ("192.0.2.66", "broken_head")
    ]
    assert of(fed, "User:admin").suspect


def test_the_first_head_of_a_file_is_found_too() -> None:
    """A file that turns every hour begins with whatever comes: with no line before it that shows
    the layout."""
    fed = feed_lines([HEAD, FORGED[:-1], FORGED, TAIL])
    assert fed.deeds()[0] == MALLORY
    assert all(event.suspect for event in fed.events[1:])


# What is no forgery.


def test_stack_traces_are_joined_only_to_loggers_that_write_them() -> None:
    trace = ["java.lang.Error: made up", "\tat a.b.C(D.java:1)", "", "Caused by: x (a.b.C)"]
    error = "[2026-11-20 23:52:44,297] ERROR it failed (kafka.server.KafkaApis)"
    header = (
        '"requestHeader":{"requestApiKey":1,"requestApiVersion":17,"requestApiKeyName":"FETCH"}'
    )
    said = f'Completed request:{{"isForwarded":false,{header}}}'
    request = f"[2026-11-20 23:52:44,297] DEBUG {said} (kafka.request.logger)"
    fed = feed_lines(
        [
            error,
            *trace,
            LINE,
            request,
            trace[0],
            LINE,
            trace[0],
            login(START, "192.0.2.7"),
            trace[0],
        ]
    )
    assert fed.account.filtered == {
        "logger:kafka.server.KafkaApis": 1, "blank": 1, "kafka_request:data_plane": 1,
    }  # fmt: skip
    assert fed.reasons() == ["orphan", "orphan", "orphan"]
    assert [event.forgery for event in fed.events] == ["", "", ""]
    assert not any(event.suspect for event in fed.events)


def test_a_dump_over_many_lines_is_one_item() -> None:
    dump = [
        "[2026-11-20 23:52:44,297] INFO KafkaConfig values: ",
        *(f"\tsetting.{n} = (x) value" for n in range(300)),
        "\tlast = 1",
        " (kafka.server.KafkaConfig)",
    ]
    for batches in ([records([LINE, *dump, LINE])], [[r] for r in records([LINE, *dump, LINE])]):
        fed = feed(batches)
        assert fed.account.filtered == {"logger:kafka.server.KafkaConfig": 1}
        assert (fed.account.items, len(fed.events), fed.reasons()) == (3, 2, [])
        assert not any(event.suspect for event in fed.events)


def test_a_line_broken_under_a_logger_that_writes_one_line_is_torn() -> None:
    fed = feed_lines(
        [
            LINE,
            "[2026-11-20 23:52:44,297] DEBUG Completed request:{",
            "} (kafka.request.logger)",
            FORGED,
        ]
    )
    assert fed.reasons() == ["torn", "orphan"]
    assert of(fed, "User:admin").suspect


def test_blank_lines_are_filtered_and_orphans_are_dead_letters() -> None:
    fed = feed_lines(["", LINE, "", "an orphan", "", LINE])
    assert fed.account.filtered == {"blank": 3}
    assert fed.reasons() == ["orphan"]
    assert not any(event.suspect for event in fed.events)


def test_undated_lines_among_dated_ones_are_nobodys_deed() -> None:
    bare = without_layout(LINE)
    assert len(feed_lines([bare]).events) == 1
    fed = feed_lines([LINE, bare])
    assert (len(fed.events), fed.reasons()) == (1, ["orphan"])


def test_a_layout_without_logger_says_what_to_do() -> None:
    lines = [line.removesuffix(" (kafka.authorizer.logger)") for line in (LINE, FORGED, LINE)]
    fed = feed_lines(lines)
    assert fed.reasons() == ["unknown_layout", "unknown_layout", "torn"]
    assert "broker-logging" in fed.dead_letters[0].detail


def test_lines_of_other_loggers_are_filtered_by_name() -> None:
    lines = ["[2026-11-20 23:52:44,297] INFO x (org.apache.kafka.connect.runtime.rest.RestServer)"]
    assert feed_lines(lines).account.filtered == {
        "unread:org.apache.kafka.connect.runtime.rest.RestServer": 1
    }
    only = feed_lines([*lines, LINE], stream("kafka_authentication"))
    assert only.account.filtered == {
        "logger:org.apache.kafka.connect.runtime.rest.RestServer": 1,
        "logger:kafka.authorizer.logger": 1,
    }


# Many files in one carrier.


def test_two_files_interleaved_keep_their_own_state() -> None:
    lines = [
        kubernetes(HEAD, pod="kafka-0"),
        kubernetes(LINE, pod="kafka-1"),
        kubernetes(FORGED, pod="kafka-0"),
        kubernetes(LINE, pod="kafka-1"),
    ]
    for batches in ([records(lines)], [[record] for record in records(lines)]):
        fed = feed(batches)
        assert [(e.actor, e.suspect, e.forgery) for e in fed.events] == [
            ("User:alice", False, ""),
            ("User:mallory", False, "broken_head"),
            ("User:admin", True, ""),
            ("User:alice", False, ""),
        ]


def test_more_files_than_are_kept_are_given_up_oldest_first_in_any_split() -> None:
    order = list(range(MOST_FILES + 20))
    chance = random.Random(7)
    lines = [kubernetes(HEAD, pod=f"kafka-{n}") for n in order]
    lines += [kubernetes(LINE, pod=f"kafka-{n}") for n in chance.sample(order, 200)]
    whole = feed([records(lines)])
    assert set(whole.reasons()) == {"torn"}
    assert len(whole.reasons()) > 20
    for size in (1, 7, 100):
        found = records(lines)
        fed = feed([found[at : at + size] for at in range(0, len(found), size)])
        assert fed.dead_letters == whole.dead_letters
        assert fed.events == whole.events
        assert fed.account == whole.account


SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "kafka-4.1.1"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples beside this repository")
def test_a_real_brokers_log_has_no_forgery_and_no_dead_letter() -> None:
    for path in sorted(SAMPLES.glob("*.log")):
        fed = feed_lines(path.read_bytes().split(b"\n")[:-1])
        assert fed.reasons() == []
        assert not any(event.suspect or event.forgery for event in fed.events)
