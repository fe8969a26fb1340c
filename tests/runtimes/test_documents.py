"""JSON documents through the embedded runtime: one line or many files, cut, grown and followed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.batch import Fact, Line, Outcome, Reading, Source, each, moment
from pipeline.config import Config, Input
from pipeline.engine import Plan
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.sinks.sqlite import SqliteStore
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY
from tests.runtimes.following import Follow
from tests.runtimes.runs import balanced, nothing, rows
from tests.stages.carriers import sqs_to_lambda


def _read(line: Line, reading: Reading) -> Outcome:
    number = int(line.text[8:16])
    at, precision, spots = moment(line, reading)
    event = Event(at or 1795215121297 + number, API_ACTIVITY, 2, "success", "cloud")
    event.time_precision, event.blind_spots = precision, spots
    event.actor, event.operation = f"User:{number}", "READ"
    return Fact(event, natural_key=(str(number),))


CLOUD = Source(
    name="cloud", title="x", documentation="x", product={"name": "x", "vendor_name": "x"},
    read=each(_read), recognise=lambda text: text.startswith('{"ours":'),
    dated=lambda text: '"at"' in text,
)  # fmt: skip


def element(number: int, size: int = 1000) -> str:
    return f'{{"ours":{10_000_000 + number},"at":1,"pad":"{"x" * size}"}}'


def document(count: int, first: int = 0) -> bytes:
    return f'{{"Records":[{",".join(element(n) for n in range(first, first + count))}]}}'.encode()


def runtime(store: SqliteStore, *paths: Path) -> Embedded:
    made = Embedded(Config(), [Input(path=str(path)) for path in paths], store, lambda *_: None)
    made.plan = Plan({"cloud": CLOUD})
    return made


def run(store: Path, *paths: Path) -> Summary:
    opened = SqliteStore(store)
    try:
        return runtime(opened, *paths).run()
    finally:
        opened.close()


def ids(store: Path) -> set[bytes]:
    return {row["id"] for row in rows(store, "SELECT id FROM events")}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_long_one_line_document_is_read_once(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path, store = tmp_path / "records.json", tmp_path / "s.db"
    path.write_bytes(pack(document(4000)))
    found = run(store, path)
    assert (found.account.events, found.account.records) == (4000, 4000)
    assert found.account.dead_letters == {}
    assert found.complaints == []
    assert balanced(found)
    assert nothing(run(store, path))
    # In another form they are the same events.
    lines = tmp_path / "lines.json"
    lines.write_text("".join(element(n) + "\n" for n in range(4000)))
    assert run(tmp_path / "other.db", lines).account.events == 4000
    assert ids(tmp_path / "other.db") == ids(store)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_cut_document_is_read_on_where_it_was_cut(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path, store = tmp_path / "records.json", tmp_path / "s.db"
    whole = document(3000)
    path.write_bytes(pack(whole[: len(whole) // 2 + 100]))
    found = run(store, path)
    assert found.account.dead_letters == {"cut_short": 1}
    assert 1400 < found.account.events < 1600
    assert ["the JSON document ends in the middle" in said for said in found.complaints] == [True]
    path.write_bytes(pack(whole))
    again = run(store, path)
    assert again.account.duplicates == 0
    assert found.account.events + again.account.events == 3000
    assert again.store["dead_letters"] == 0
    assert balanced(again)


def test_an_element_that_is_too_long_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    several = [element(1), element(2, 2_000_000), element(3)]
    path.write_text('{"Records":[' + ",".join(several) + "]}")
    found = run(tmp_path / "s.db", path)
    assert (found.account.events, found.account.dead_letters) == (2, {"too_long": 1})


def test_envelopes_and_documents_in_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.json").write_bytes(document(100))
    (folder / "b.json.gz").write_bytes(gzip.compress(document(100, 50)))
    (folder / "c.json").write_text("".join(element(n) for n in range(140, 160)))
    (folder / "d.json").write_text(sqs_to_lambda([document(10, 160).decode(), element(170)]))
    (folder / "e.json").write_text('{"Records":[{"else":1}]}')
    found = run(tmp_path / "s.db", folder)
    assert (found.account.events, found.account.duplicates) == (171, 60)
    assert found.unrecognised == [str(folder / "e.json")]


def test_documents_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with Follow(tmp_path / "s.db", folder, plan=Plan({"cloud": CLOUD})) as follow:
        (folder / "a.json").write_bytes(document(50))
        follow.has(50)
        # Written slowly, it is read when it has settled, and then once.
        data = document(90, 50)
        with (folder / "b.json").open("wb", buffering=0) as file:
            for start in range(0, len(data), len(data) // 7):
                file.write(data[start : start + len(data) // 7])
                follow.polls()
                assert follow.count() == 50
        follow.has(140)
        # What stops in the middle for a while is read to there, and later on from there.
        data = document(60, 140)
        with (folder / "c.json").open("wb", buffering=0) as file:
            file.write(data[:30_500])
            follow.polls(3)
            assert 140 < follow.count() < 200
            file.write(data[30_500:])
        follow.has(200)
        (folder / "d.json.gz").write_bytes(gzip.compress(document(10, 200)))
        follow.has(210)
        # JSON lines grow as any log.
        with (folder / "e.json").open("w") as lines:
            for number in range(210, 214):
                lines.write(element(number) + "\n")
                lines.flush()
                follow.has(number + 1)
    assert follow.summary.account.duplicates == 0
    assert follow.summary.account.dead_letters == {}
