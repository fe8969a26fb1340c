"""What the store is asked, and how it answers: filters, formats, history."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import main
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS
from tests.commands import SCRIPT
from tests.logs import decision, login, stamp, write
from tests.runtimes.runs import rows, run

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
Told = tuple[int, str, str]
Ask = Callable[..., Told]


def at(second: int) -> datetime:
    return AT + timedelta(seconds=second)


LINES = (
    decision(at(0), "User:alice", address="192.0.2.7"),
    decision(at(1), "User:alice", allowed=False, operation="WRITE", address="192.0.2.8"),
    decision(at(2), "User:bob", address="2001:db8:0:0::7", resource="Topic:PREFIXED:payments."),
    decision(at(3), "User:alice2", allowed=False, address="192.0.2.33",
        resource="Topic:LITERAL:=HYPERLINK(1)"),
    decision(at(4), "User:e\x1b[31mvil\x9b\u202e", address="192.0.2.34", resource="Group:LITERAL:a\0b"),
    decision(at(5), "Group:alice", allowed=False, operation="ALTER", address="192.0.2.35",
        resource="Cluster:LITERAL:c*[x]"),
    login(at(6), "198.51.100.9"),
    login(at(7), "198.51.100.10", success=True),
    f"{stamp(at(8))} INFO Principal = nothing that User:zoe said 192.0.2.99 (kafka.authorizer.logger)",
    " for request = Fetch with nothing before it (kafka.authorizer.logger)",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show")
    run(folder / "s.db", write(folder / "a.log", LINES))
    return folder / "s.db"


@pytest.fixture
def ask(store: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Ask:
    """The command in this process: status, output, complaints."""

    def asked(*arguments: str) -> Told:
        capfdbinary.readouterr()
        try:
            status = main([*arguments, "--store", str(store)])
        except SystemExit as error:
            status = int(error.code or 0)
        out, complaints = capfdbinary.readouterr()
        return status, out.decode(), complaints.decode()

    return asked


def seconds(told: Told) -> list[int]:
    """Which of the lines these events are of, by their second."""
    status, out, complaints = told
    assert (status, complaints) == (0, "")
    return [json.loads(line)["time"] // 1000 % 60 for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("--since 2026-11-20T12:00:03", [3, 4, 5, 6, 7]),
        ("--since 2026-11-20T12:00:03.001", [4, 5, 6, 7]),
        ("--until 2026-11-20T12:00:03", [0, 1, 2]),
        ("--until 2026-11-20T12:00:03.001", [0, 1, 2, 3]),
        ("--since 2026-11-20T13:00:03+01:00 --until 2026-11-20T12:00:05Z", [3, 4]),
        ("--since 1795176003000 --until 1795176005000", [3, 4]),
        ("--since 2026-11-20", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("--until 2026-11-20", []),
        ("--since 2026-11-21", []),
        ("--actor User:alice", [0, 1]),
        ("--actor alice", [0, 1]),
        ("--actor Group:alice", [5]),
        ("--actor ALICE", []),
        ("--actor alice*", [0, 1, 3]),
        ("--actor *alice", [0, 1, 5]),
        ("--actor User:*2", [3]),
        ("--actor *", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("--actor [a]lice", []),
        ("--actor alic?", []),
        ("--resource payments.orders", [0, 1]),
        ("--resource payments.*", [0, 1, 2]),
        ("--resource c*[x]", [5]),
        ("--resource payments", []),
        ("--ip 192.0.2.7", [0]),
        ("--ip 192.0.2.0/29", [0]),
        ("--ip 192.0.2.0/24", [0, 1, 3, 4, 5]),
        ("--ip 192.0.2.7/24", [0, 1, 3, 4, 5]),
        ("--ip 2001:db8::7", [2]),
        ("--ip 2001:db8::7%eth0", [2]),
        ("--ip ::ffff:192.0.2.7", [0]),
        ("--ip 0:0:0:0:0:ffff:c000:207", [0]),
        ("--ip ::ffff:192.0.2.0/120", [0, 1, 3, 4, 5]),
        ("--ip ::ffff:0:0/96", [0, 1, 3, 4, 5, 6, 7]),
        ("--ip 2001:0db8:0000::7", [2]),
        ("--ip 2001:db8::/32", [2]),
        ("--ip 0.0.0.0/0", [0, 1, 3, 4, 5, 6, 7]),
        ("--source kafka_authentication", [6, 7]),
        ("--source nonsense", []),
        ("--class authentication", [6, 7]),
        ("--class 3002", [6, 7]),
        ("--class Api-Activity", [0, 1, 2, 3, 4, 5]),
        ("--class entity_management", []),
        ("--outcome failure", [1, 3, 5, 6]),
        ("--outcome SUCCESS", [0, 2, 4, 7]),
        ("--outcome unknown", []),
        ("--text orders", [0, 1]),
        ("--text denied", [1, 3, 5]),
        ("--text denied,ALICE", [1, 5]),
        ("--text payments", [0, 1, 2]),
        ("--text payment", []),
        ("--text hyperlink", [3]),
        ("--text 198.51.100.9", [6]),
        ("--actor alice --outcome failure --class 6003 --ip 192.0.2.8 --text orders", [1]),
        ("--limit 3", [0, 1, 2]),
        (f"--limit {10**30}", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("--outcome failure --limit 1", [1]),
    ],
)  # fmt: skip
def test_filters_take_what_they_say(ask: Ask, arguments: str, expected: list[int]) -> None:
    assert seconds(ask("events", "--format", "jsonl", *arguments.split())) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--since yesterday", "'yesterday' is no time; write 2026-11-20"),
        ("--since=--123456789", "is no time"),
        ("--until 99999999999999999999999", "is no time"),
        ("--since 2026-11-21 --until 2026-11-20", "is not before"),
        ("--since 2026-11-20 --until 2026-11-20", "is not before"),
        ("--ip alice", "neither an IP address nor a network"),
        ("--ip 192.0.2.0/33", "neither an IP address nor a network"),
        ("--class nonsense", "no class 'nonsense'; there is"),
        (f"--class {'9' * 5000}", "no class"),
        ("--outcome maybe", "no outcome 'maybe'; there is"),
        ("--text …", "holds no letter or digit"),
        ("--limit 0", "from 1 on"),
        ("--limit x", "--limit"),
        ("--limit -1", "from 1 on"),
        ("--since 1763683200", "milliseconds since 1970"),
        (f"--actor a{'a*' * 30_000}", "--actor is longer than 40,000 bytes"),
        (f"--resource {'a' * 50_000}", "--resource is longer than 40,000 bytes"),
        ("--actor \udcff", "is not UTF-8"),
        ("--format xml", "--format"),
    ],
    ids=lambda v: v[:30].encode("ascii", "backslashreplace").decode(),
)  # fmt: skip
def test_values_that_mean_nothing_are_arguments_that_are_wrong(
    ask: Ask, arguments: str, said: str
) -> None:
    for command in ("events", "findings", "dead-letters"):
        status, out, complaints = ask(command, *arguments.split())
        assert (status, out) == (2, "")
        assert said in complaints


def test_jsonl_is_one_document_a_line(ask: Ask, store: Path) -> None:
    _, out, _ = ask("events", "--format", "jsonl")
    events = [json.loads(line) for line in out.splitlines()]
    assert out.endswith("\n")
    assert [e["metadata"]["uid"] for e in events] == [
        row["id"].hex() for row in rows(store, "SELECT id FROM events ORDER BY time, id")
    ]
    assert {e["class_uid"] for e in events} == {6003, 3002}
    _, out, _ = ask("findings", "--format", "jsonl")
    assert {json.loads(line)["class_uid"] for line in out.splitlines()} == {2004}
    _, out, _ = ask("dead-letters", "--format", "jsonl")
    letters = [json.loads(line) for line in out.splitlines()]
    assert [len(bytes.fromhex(letter["id"])) for letter in letters] == [16] * len(letters)


@pytest.mark.parametrize(
    ("command", "columns", "table"),
    [
        ("events", EVENT_COLUMNS, "events ORDER BY time, id"),
        ("findings", FINDING_COLUMNS, "findings ORDER BY first_time, id"),
        ("dead-letters", DEAD_LETTER_COLUMNS, "dead_letters ORDER BY carrier, position"),
    ],
)
def test_csv_is_read_as_it_was_written_but_for_formulas(
    ask: Ask, store: Path, command: str, columns: tuple[str, ...], table: str
) -> None:
    _, out, _ = ask(command, "--format", "csv")
    heading, *lines = csv.reader(io.StringIO(out, newline=""))
    assert heading == [c for c in columns if c not in ("ocsf", "raw", "evidence", "supersedes")]
    assert lines == [
        [_cell(row[name]) for name in heading] for row in rows(store, f"SELECT * FROM {table}")
    ]
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for line in lines for cell in line)


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    text = str(value).replace("\0", "\\x00")
    return f"'{text}" if text.startswith("=") else text


def test_a_terminal_gets_no_control_character(ask: Ask) -> None:
    for command in ("events", "findings", "dead-letters"):
        _, out, _ = ask(command)
        assert all(c.isprintable() or c == "\n" for c in out)
    _, out, _ = ask("events")
    assert "User:e\\x1b[31mvil\\x9b\\u202e" in out
    assert "Group a\\x00b" in out
    assert len(out.splitlines()) == 9


@pytest.mark.parametrize("format_", ["table", "csv", "jsonl"])
@pytest.mark.parametrize("command", ["events", "findings", "dead-letters"])
def test_a_terminal_obeys_nothing_in_any_format(
    ask: Ask, store: Path, command: str, format_: str
) -> None:
    asked = (command, "--format", format_)
    shown = on_a_terminal(*asked, "--store", str(store))
    # A terminal puts a carriage return before each line break, also before that of CSV.
    shown = shown.replace("\r\r\n", "\n").replace("\r\n", "\n")
    assert all(c.isprintable() or c == "\n" for c in shown)
    if format_ == "jsonl":
        _, out, _ = ask(*asked)
        assert [*map(json.loads, shown.splitlines())] == [*map(json.loads, out.splitlines())]


def on_a_terminal(*arguments: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([SCRIPT, *arguments], stdout=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    # Where the other side is closed Linux says that it cannot be read.
    with suppress(OSError):
        while data := os.read(ours, 65_536):
            shown += data
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_later_page_shows_names_as_long_as_they_are(tmp_path: Path, capsys: Any) -> None:
    short = [decision(at(0), "User:a", address="192.0.2.1") for _ in range(500)]
    long = decision(at(9), "User:alexander-the-great", address="2001:db8::dead:beef:1")
    run(tmp_path / "s.db", write(tmp_path / "a.log", [*short, long]))
    assert main(["events", "--store", str(tmp_path / "s.db")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "User:alexander-the-great" in last
    assert "2001:db8::dead:beef:1" in last


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_output_is_no_fault(store: Path, closed: int) -> None:
    command = f'exec "$0" "$@" {closed}>&-'
    arguments = ["bash", "-c", command, SCRIPT, "events", "--store", str(store)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_id_that_is_empty_names_nothing(ask: Ask) -> None:
    status, _, complaints = ask("findings", "--id", "")
    assert (status, "--id is empty" in complaints) == (2, True)


def test_a_store_that_is_empty_is_not_meant(capsys: Any) -> None:
    for command in ("events", "doctor", "retention plan", "hold list"):
        assert main([*command.split(), "--store", ""]) == 2
        assert "--store is empty" in capsys.readouterr().err


def test_findings_by_id_keep_to_the_limit(tmp_path: Path, capsys: Any) -> None:
    grave = (decision(at(n), f"User:{n}", allowed=False, operation="ALTER") for n in range(5))
    run(tmp_path / "s.db", write(tmp_path / "a.log", grave))
    for limit in (1, 3):
        arguments = ["findings", "--id", "0", "--limit", str(limit)]
        assert main([*arguments, "--store", str(tmp_path / "s.db")]) == 0
        assert capsys.readouterr().out.count(", version ") == limit


def test_raw_is_what_was_said(ask: Ask) -> None:
    _, out, _ = ask("events", "--raw", "--until", "2026-11-20T12:00:02")
    assert out.splitlines() == [*LINES[:2]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", 2),
        ("--since 2026-11-20T12:00:08 --until 2026-11-20T12:00:09", 2),
        ("--since 2026-11-20T12:00:09", 1),
        ("--until 2026-11-20T12:00:08", 1),
        ("--source kafka_authorizer", 1),
        ("--actor zoe", 1),
        ("--actor User:z*", 1),
        ("--actor nobody", 0),
        ("--ip 192.0.2.99", 1),
        ("--ip 192.0.2.0/24", 1),
        ("--ip 192.0.2.9", 0),
        ("--text nothing", 2),
        ("--text nothing,Fetch", 1),
        ("--limit 1", 1),
    ],
)
def test_dead_letters_are_found_by_what_is_left_of_them(
    ask: Ask, arguments: str, expected: int
) -> None:
    status, out, complaints = ask("dead-letters", "--format", "jsonl", *arguments.split())
    assert (status, complaints) == (0, "")
    assert len(out.splitlines()) == expected


def test_dead_letters_have_neither_class_nor_outcome(ask: Ask) -> None:
    for arguments in (("--class", "3002"), ("--outcome", "failure")):
        status, _, complaints = ask("dead-letters", *arguments)
        assert status == 2
        assert "no class and no outcome" in complaints


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["Group:alice"]),
        ("--actor Group:alice", ["Group:alice"]),
        ("--actor alice", []),
        ("--outcome failure --class 6003 --resource c*", ["Group:alice"]),
        ("--ip 192.0.2.0/24", ["Group:alice"]),
        ("--source kafka_authentication", []),
        ("--text group,alice,authorization", ["Group:alice"]),
        ("--text metadata", []),
        ("--since 2026-11-20T12:00:05 --until 2026-11-20T12:00:05.001", ["Group:alice"]),
        ("--since 2026-11-20T12:00:05.001", []),
        ("--until 2026-11-20T12:00:05", []),
    ],
)
def test_findings_are_found_by_what_they_rest_on(
    ask: Ask, arguments: str, expected: list[str]
) -> None:
    status, out, complaints = ask("findings", "--format", "csv", *arguments.split())
    assert (status, complaints) == (0, "")
    assert [row["actor"] for row in csv.DictReader(io.StringIO(out))] == expected


def test_history_has_every_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grave denial, then an earlier one: the second finding supersedes the first."""
    store = str(tmp_path / "s.db")
    for number, second in enumerate((100, 50, 120)):
        line = decision(at(second), "User:eve", allowed=False, operation="ALTER")
        run(Path(store), write(tmp_path / f"{number}.log", [line]))
    assert main(["findings", "--store", store, "--format", "jsonl"]) == 0
    (last,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert main(["findings", "--store", store, "--history", "--format", "csv"]) == 0
    versions = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert sorted((v["status"], v["version"], v["count"]) for v in versions) == [
        ("open", "1", "1"),
        ("open", "1", "2"),
        ("open", "2", "3"),
        ("superseded", "2", "0"),
    ]
    assert last["metadata"]["uid"] == last["finding_info"]["uid"]
    assert (
        main(["findings", "--store", store, "--history", "--actor", "eve", "--format", "csv"]) == 0
    )
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == versions
    assert main(["findings", "--store", store, "--history"]) == 0
    assert "2 superseded" in capsys.readouterr().out
