"""Ids and words of findings."""

import orjson

from detectors.authorization_denial_spike import DETECTOR as DENIALS
from detectors.conclusions import finding_id
from schemas.vocabulary import API_ACTIVITY
from tests.detectors.worker import T0, Worker, event

FIRST = "019ab697e80000000000000000000001"


def test_golden_id() -> None:
    """The recipe never changes under one ``ID_RECIPE``: stores of older releases hold these ids."""
    made = finding_id("auth_failure_spike", "east", "address=192.0.2.7", T0, FIRST)
    assert made.hex() == "019ab697e8007f861548410dd8267769"


def test_each_part_tells_ids_apart() -> None:
    parts = ("d", "c", "address=192.0.2.7", T0, FIRST)
    others = [
        ("dc", "", *parts[2:]),
        ("d", "", "caddress=192.0.2.7", *parts[3:]),
        (*parts[:2], "address=192.0.2.8", *parts[3:]),
        (*parts[:3], T0 + 1, FIRST),
        (*parts[:4], FIRST[:-1] + "f"),
    ]
    assert len({finding_id(*p) for p in (parts, *others)}) == 6


def test_times_outside_48_bits_are_clamped() -> None:
    assert finding_id("d", "", "k=v", -5, FIRST)[:6] == bytes(6)
    assert finding_id("d", "", "k=v", 2**60, FIRST)[:6] == b"\xff" * 6


def test_a_finding_says_why_in_words() -> None:
    denials = [
        event(
            number,
            T0 + number,
            class_uid=API_ACTIVITY,
            outcome="failure",
            actor="User:mallory",
            operation="ALTER",
            resource_type="Topic",
            resource=f"topic-{number}",
        )
        for number in range(20)
    ]
    worker = Worker([(DENIALS, DENIALS.settings())]).feed([denials])
    said = orjson.loads(worker.history[-1].ocsf)
    assert said["finding_info"]["title"] == (
        "Many denials, many resources denied, an administrator's operation denied"
    )
    assert said["message"] == "20 denials, principal User:mallory."
    assert said["severity"] == "Medium"
    assert said["evidences"][0]["actor"]["user"]["uid"] == "User:mallory"
    assert len(said["finding_info"]["related_events"]) == 20
    assert [a["technique"]["uid"] for a in said["finding_info"]["attacks"]] == ["T1213", "T1098"]
    assert said["remediation"]["desc"].startswith("1. ")


def test_amendments_are_versions_of_one_finding() -> None:
    worker = Worker([(DENIALS, DENIALS.settings())])
    for number in range(3):
        worker.take(
            [
                event(
                    number,
                    T0 + number,
                    class_uid=API_ACTIVITY,
                    outcome="failure",
                    actor="User:mallory",
                    operation="ALTER",
                )
            ]
        )
    assert [(f.version, f.count) for f in worker.history] == [(1, 1), (2, 2), (3, 3)]
    assert len({f.id for f in worker.history}) == 1
    assert [orjson.loads(f.ocsf)["activity_id"] for f in worker.history] == [1, 2, 2]
