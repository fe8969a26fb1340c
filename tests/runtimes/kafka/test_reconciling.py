"""What a comparison goes by: names of documents, letters that answer, indices that are over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runtimes.kafka import kinds
from pipeline.runtimes.kafka.answers import Answers, Unreadable
from pipeline.runtimes.kafka.sides import Kept, Numbers, Told
from pipeline.sinks.opensearch_scan import Hit
from pipeline.stages.identify import digest
from schemas import indices
from schemas.wire import Undecodable, decoder, encoder
from tests.schemas.made import changes, dead_letters, events, findings

LONGEST = 400


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    made = Answers(tmp_path / "answers.db")
    yield made
    made.close()


def row(id_: bytes, offset: int) -> Told:
    return Told(id_, 0, 0, "s", "i", 3, offset, 0, False)


def test_a_refused_row_is_answered_for_by_its_place_or_its_event(answers: Answers) -> None:
    event, other = bytes(16), b"\1" * 16
    answers.answer(digest(16, [b"refused", event]), "server.log", 77)
    answers.answer(b"\2" * 16, "audit.findings[3]", 12)
    assert answers.refused("audit.events", row(event, 5))
    assert not answers.refused("audit.events", row(other, 77))
    assert answers.refused("audit.findings", row(other, 12))
    assert not answers.refused("audit.findings", row(other, 13))
    assert not answers.refused("audit.changes", row(other, 12))


def test_what_is_no_row_and_has_no_dead_letter_is_told(answers: Answers) -> None:
    for offset in (1, 2, 3):
        answers.ask("audit.events", Unreadable("audit.events[0]", offset, offset * 10, "garbage"))
    answers.ask("audit.changes", Unreadable("audit.changes[0]", 1, 99, "garbage"))
    answers.answer(b"\1" * 16, "audit.events[0]", 2)
    found = list(answers.unanswered(["audit.events"], 0))
    assert [one.offset for _, one in found] == [1, 3]
    # A letter of that time would be gone.
    found = list(answers.unanswered(["audit.events", "audit.changes"], 20))
    assert [(topic, one.offset) for topic, one in found] == [
        ("audit.events", 3), ("audit.changes", 1),
    ]  # fmt: skip


def test_both_sides_of_a_kind_say_the_same() -> None:
    reasons = Numbers()
    event, letter, finding, change = events()[0], dead_letters()[0], findings()[0], changes()[0]
    carried = event.time + 5
    for kind, written, hit in (
        (kinds.events(LONGEST), event, _hit(event.id.hex(), time=event.time, source=event.source)),
        (
            kinds.dead_letters(LONGEST, reasons),
            letter,
            _hit(letter.id.hex(), time=letter.time, source=letter.source, reason=letter.reason),
        ),
        (
            kinds.findings(),
            finding,
            _hit(finding.id.hex(), finding.version, source=finding.detector),
        ),
        (
            kinds.versions(),
            finding,
            _hit(f"{finding.id.hex()}-{finding.version}", source=finding.detector),
        ),
        (
            kinds.changes(),
            change,
            _hit(change.id.hex(), change.version, time=change.time, source=change.kind),
        ),
    ):
        value = encoder(kind.schema)(written)
        read = kinds.reader(kind, decoder(kind.schema))
        id_, said, at, source, home = kind.told(read(value), carried)
        assert kind.kept(hit._replace(home=home)) == Kept(id_, said or 0, at, source, home)
        # Confluent's format, too, and by fastavro.
        with pytest.raises(Undecodable):
            read(b"\0\0\0\0\7" + value[10:])
        with pytest.raises(Undecodable):
            read(value[:20])


def _hit(name: str, version: int = 1, source: str = "", **fields: object) -> Hit:
    said = {key: [str(value)] for key, value in fields.items()}
    for path in ("metadata.log_name", "source", "finding_info.analytic.uid", "kind"):
        said[path] = [source]
    return Hit("", name, version, said, None)


@pytest.mark.parametrize("name", ["", "x", "0" * 31, "0" * 33, "A" * 32, "0 " * 16, "é" * 16])
def test_what_is_no_id_of_ours_is_kept_as_it_is(name: str) -> None:
    hit = Hit("audit-x-2026.10", name, 1, {}, None)
    assert kinds.events(LONGEST).kept(hit) == Kept(name, 0, None, "", "audit-x-2026.10")
    for odd in (f"{'0' * 32}-x", f"{'0' * 32}-9999999999", f"{name}-1", "0" * 32):
        assert kinds.versions().kept(hit._replace(id=odd)).id == odd


def test_an_id_is_taken_back_by_its_key() -> None:
    assert kinds.id_taken_back(kinds.findings(), b"\1" * 16) == b"\1" * 16
    assert kinds.id_taken_back(kinds.accounts(), b"r.raw.auto\x001\x00400") == "r.raw.auto:1:400"
    assert kinds.id_taken_back(kinds.accounts(), None) == ""


def test_events_without_a_time_of_this_age_are_undated() -> None:
    id_, _, _, _, home = kinds.events(LONGEST).told((bytes(16), 0, "long", "s"), 10**12)
    assert (id_, home) == (bytes(16), f"{indices.EVENTS}-long-{indices.UNDATED}")
