"""Documents of OpenSearch: what goes in comes out again, column by column and byte for byte."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch import Fact
from pipeline.engine import Plan, ingest
from pipeline.registry import sources
from pipeline.sinks.opensearch_documents import (
    account,
    account_id,
    action,
    change,
    dead_letter,
    dead_letter_row,
    event,
    event_row,
    finding_row,
)
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS
from pipeline.stages.project import project
from schemas.types import AccountOf, Carriage, ChangeVersion, DeadLetter, Event, Finding, columns
from schemas.vocabulary import AUTHENTICATION, REQUIRED, RETENTION_STANDARD, AccessPath, ActorKind
from tests.feed import records
from tests.schemas import made
from tests.sources.golden import load, paths, stream_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAME = st.one_of(TEXT, st.sampled_from(["", "a\0b", "\u2028", '"\\', "x" * 9000, "\u212a\u0130"]))
RAW = st.one_of(st.binary(), TEXT.map(str.encode), st.just(b"\xff\xfe" + b"\\xff" * 3))
CLASSES = sorted(set(REQUIRED) - {2004})


def embedded(row: Event | Finding | DeadLetter) -> dict[str, Any]:
    """The row as the embedded store gives it."""
    said = columns(row)
    said |= said.pop("carriage", {})
    for name, value in said.items():
        if isinstance(value, bool):
            said[name] = int(value)
        elif isinstance(value, tuple):
            said[name] = ",".join(value) if name == "blind_spots" else b"".join(value)
    return said


def kept(document: bytes) -> dict[str, Any]:
    """The document as OpenSearch gives it back."""
    found: dict[str, Any] = orjson.loads(document)
    return found


def there_and_back(row: Event) -> None:
    """What is written is one line of JSON that begins as `ocsf` does, and is read as it was."""
    document = event(row.ocsf, row.raw)
    assert b"\n" not in document
    assert document.startswith(row.ocsf[:-2])
    assert event_row(kept(document)) == embedded(row)


def test_columns_are_those_of_the_embedded_store() -> None:
    assert set(event_row(kept(made.events()[0].ocsf))) == set(EVENT_COLUMNS)
    assert set(finding_row(kept(made.findings()[0].ocsf))) == set(FINDING_COLUMNS)
    letter = dead_letter_row(kept(dead_letter(made.dead_letters()[0])))
    assert tuple(letter) == DEAD_LETTER_COLUMNS


def test_what_the_engine_makes_of_hostile_lines() -> None:
    for row in made.events():
        there_and_back(row)


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_golden_example(path: Any) -> None:
    example = load(path)
    done = ingest(Plan(sources()), stream_of(example), records(example["lines"]), {}, final=True)
    for row in done.events:
        there_and_back(row)
    for letter in done.dead_letters:
        assert dead_letter_row(kept(dead_letter(letter))) == embedded(letter)


@given(
    st.builds(
        Event,
        time=st.integers(-(2**53), 2**53),
        class_uid=st.sampled_from(CLASSES),
        activity_id=st.sampled_from([0, 1, 99]),
        outcome=st.sampled_from(["success", "failure", "unknown"]),
        source=NAME,
        id=st.binary(min_size=16, max_size=16),
        actor=NAME,
        actor_kind=st.sampled_from([kind.value for kind in ActorKind]),
        address=st.sampled_from(["", "192.0.2.7", "2001:db8::7"]),
        cluster=NAME,
        host=NAME,
        resource_type=NAME,
        resource=NAME,
        operation=NAME,
        access_path=st.sampled_from([path.value for path in AccessPath]),
        pattern_type=NAME,
        rule=NAME,
        session=NAME,
        ticket=NAME,
        retention=st.just(RETENTION_STANDARD),
        weight=st.integers(0, 2**31 - 1),
        suspect=st.booleans(),
        leg=NAME,
        forgery=NAME,
        message=NAME,
        blind_spots=st.lists(st.sampled_from(["zone_assumed", "late"]), unique=True).map(tuple),
        carriage=st.builds(Carriage, NAME, st.integers(-1, 2**62), st.booleans()),
        raw=RAW,
    ),
    st.none() | st.integers(0, 2**53),
)
def test_any_event(row: Event, logged: int | None) -> None:
    said = {"service": {"name": "kafka"}} if row.class_uid == AUTHENTICATION else {}
    project(Fact(row, document=said), {"name": "p", "vendor_name": "v"}, logged)
    there_and_back(row)


def test_a_record_that_is_no_utf_8_is_kept_and_can_be_read() -> None:
    row = made.events()[0]
    document = kept(event(row.ocsf, b"caf\xe9 \xff"))
    assert document["raw_data"] == "caf\\xe9 \\xff"
    assert event_row(document)["raw"] == b"caf\xe9 \xff"


def test_without_a_record_the_document_is_what_leaves() -> None:
    row = made.events()[0]
    assert event(row.ocsf, b"") == row.ocsf


def test_findings() -> None:
    for row in made.findings():
        assert finding_row(kept(row.ocsf)) == embedded(row)


@given(
    st.builds(
        DeadLetter,
        id=st.binary(min_size=16, max_size=16),
        time=st.integers(-(2**53), 2**53),
        **dict.fromkeys(("reason", "detail", "source", "cluster", "host", "carrier"), NAME),
        position=st.integers(-1, 2**62),
        length=st.integers(0, 2**62),
        digest=NAME,
        head=NAME,
        raw=RAW,
    )
)
def test_any_dead_letter(row: DeadLetter) -> None:
    document = dead_letter(row)
    assert b"\n" not in document
    assert dead_letter_row(kept(document)) == embedded(row)


def test_changes_and_accounts_are_their_columns() -> None:
    for version in made.changes():
        said = kept(change(version))
        assert said["id"] == version.id.hex()
        assert [bytes.fromhex(leg) for leg in said["legs"]] == list(version.legs)
        assert [bytes.fromhex(one) for one in said["supersedes"]] == list(version.supersedes)
        assert (said["before"], said["after"]) == (
            version.before.decode(),
            version.after.decode(),
        )
        assert set(said) == set(ChangeVersion.__slots__)
    for row in made.accounts():
        assert AccountOf(**kept(account(row))) == row
    assert account_id(made.accounts()[1]) == "audit.raw.auto:7:1"


def test_an_action_is_a_line_of_json() -> None:
    said = action("index", "audit-standard-2026.11", ['"version":3'])("00ff")
    assert said.endswith(b"\n")
    assert orjson.loads(said) == {
        "index": {"_index": "audit-standard-2026.11", "version": 3, "_id": "00ff"}
    }
