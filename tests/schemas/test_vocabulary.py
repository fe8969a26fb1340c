"""The words are OCSF's where it has them, and the schemas' descriptions list the words there are."""

import re
from enum import StrEnum
from typing import Any

import pytest

from schemas.avro import schema
from schemas.vocabulary import (
    CLASS_NAMES,
    DETECTION_FINDING,
    OCSF_VERSION,
    OUTCOME_STATUS,
    SEVERITY_NAMES,
    AccessPath,
    ActorKind,
    FindingStatus,
    Forgery,
    Outcome,
    TimePrecision,
)
from tests.schemas import made
from tests.schemas.ocsf import class_of, needs_ocsf, validator


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("audit_event", "outcome", Outcome),
        ("audit_event", "actor_kind", ActorKind),
        ("audit_event", "access_path", AccessPath),
        ("audit_event", "time_precision", TimePrecision),
        ("finding", "status", FindingStatus),
    ],
)
def test_a_column_of_few_words_lists_them(name: str, column: str, words: type[StrEnum]) -> None:
    doc = next(c.doc for c in schema(name).columns if c.name == column)
    assert re.split(", | or ", doc.removesuffix(".")) == list(words)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("outcome", Outcome),
        ("actor_kind", ActorKind),
        ("access_path", AccessPath),
        ("time_precision", TimePrecision),
        ("forgery", Forgery),
    ],
)
def test_events_use_these_words_only(column: str, words: type[StrEnum]) -> None:
    assert {getattr(event, column) for event in made.events()} <= set(words)


def test_findings_use_these_words_only() -> None:
    assert {found.status for found in made.findings()} <= set(FindingStatus)
    assert {found.severity_id for found in made.findings()} <= set(SEVERITY_NAMES)


def test_every_outcome_has_a_status() -> None:
    assert set(OUTCOME_STATUS) == set(Outcome)


@needs_ocsf
def test_numbers_and_names_are_ocsfs() -> None:
    assert validator().SCHEMA["version"] == OCSF_VERSION
    for uid, name in CLASS_NAMES.items():
        assert class_of(uid)["caption"] == name

    def captions(name: str) -> dict[int, Any]:
        enum = class_of(DETECTION_FINDING if name == "severity_id" else 6003)["attributes"][name]
        return {int(number): said["caption"] for number, said in enum["enum"].items()}

    assert captions("severity_id").items() >= SEVERITY_NAMES.items()
    assert captions("status_id").items() >= set(OUTCOME_STATUS.values())
