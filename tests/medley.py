"""Random rows of every kind, in any number, the same for the same seed: what a store is tried with.

Few names, many of them hostile, so that questions find something; few times, so that many are
equal; now and then one before 1970, or on the last day of all calendars. Documents are the
product's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pipeline.batch import Fact
from pipeline.sinks.sqlite import SqliteStore
from pipeline.stages.identify import timed
from pipeline.stages.project import project
from schemas.findings import document
from schemas.types import Carriage, DeadLetter, Event, Finding
from schemas.vocabulary import (
    API_ACTIVITY,
    APPLICATION_LIFECYCLE,
    AUTHENTICATION,
    REQUIRED,
    AccessPath,
    ActorKind,
    Outcome,
)

START = 1_793_491_200_000
"""2026-11-01T00:00Z; most of what happens does so in the month before and after."""
NAMES = (
    "payments.orders", "PAYMENTS_orders-v2", "caférouge", "Straße", "İstanbul", "\u212aelvin",
    "ｆｕｌｌ", "a\0b", "٣٤", "x" * 100, "orders/2026", "naïve.orders", "ÀÉ", "emoji😀orders", "42",
    "alice", "bob", "a*b", "a?b[c]", "back\\slash", 'quo"te', "line\nbreak", "  ", "-", "ALICE",
    "User:", "\u2028", "\U0010ffff", "é" * 40, "aab" * 30,
)  # fmt: skip
LONG = (
    "L" * 8_191, "L" * 8_192, "😀" * 4_095 + "x", "😀" * 4_096, "é" * 8_191, "orders." + "o" * 9_000,
    "o" * 33_000,
)  # fmt: skip
"""On both sides of what is indexed as one name, by characters and by what Java counts."""
ADDRESSES = (
    "192.0.2.7", "192.0.2.8", "192.0.2.130", "198.51.100.9", "203.0.113.77", "2001:db8::7",
    "2001:db8::8:0:0:1", "2001:db8:1::", "::1", "127.0.0.1", "::", "0.0.0.0",
)  # fmt: skip
SOURCES = (
    "kafka_authorizer", "kafka_authentication", "kafka_request", "kafka_controller", "kafka_broker",
    "aws_cloudtrail", "support_session",
)  # fmt: skip
CLUSTERS = ("prod", "Prod", "prod-eu", "", "ß")
_CLASSES = tuple(sorted(set(REQUIRED) - {2004}))
_ODD_TIMES = (
    -62_135_596_800_000, -1_000, -1, 0, 1, 2_026, 86_400_000, 253_402_300_799_999, START - 1,
)  # fmt: skip
_RAW = (
    b"",
    b"caf\xe9 \xff\x00",
    "Straße\n".encode(),
    b'{"a": "b"}',
    b"[2026-11-20] INFO Principal",
)
_KINDS = ("Topic", "Group", "Cluster", "AWS::S3::Bucket", "")
_PRODUCT = {"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"}


def rows(count: int, seed: int = 7) -> tuple[list[Event], list[Finding], list[DeadLetter]]:
    """So many events, findings that rest on them, in several versions, and dead letters."""
    random = Random(seed)
    events = [_event(random) for _ in range(count)]
    findings = [v for n in range(count // 200) for v in _finding(random, events, n)]
    return events, findings, [_letter(random) for _ in range(count // 200)]


def store(path: Path, count: int, seed: int = 7) -> Path:
    """An embedded store of these rows; returns its path."""
    events, findings, letters = rows(count, seed)
    opened = SqliteStore(path)
    for start in range(0, count, 10_000):
        with opened.transaction():
            opened.write_events(events[start : start + 10_000])
    with opened.transaction():
        opened.write_findings(findings)
        opened.write_dead_letters(letters)
    opened.wait()
    opened.close()
    return path


def name(random: Random) -> str:
    """A name that events have, or a mixture of some."""
    if random.random() < 0.0005:
        return random.choice(LONG)
    if random.random() < 0.1:
        return random.choice((".", " ", "-")).join(random.choices(NAMES, k=2))
    return random.choice(NAMES)


def _time(random: Random) -> int:
    if random.random() < 0.01:
        return random.choice(_ODD_TIMES)
    return START + random.randint(-2_000, 2_000) * 1_000_000


def _actor(random: Random) -> str:
    kind = random.choice(
        ("User:", "User:", "User:", "Group:", "", "arn:aws:iam::111122223333:user/")
    )
    return "" if random.random() < 0.1 else kind + name(random)


def _event(random: Random) -> Event:
    time, class_uid = _time(random), random.choice(_CLASSES)
    event = Event(
        time, class_uid, random.choice((1, 2, 3, 99)), random.choice(list(Outcome)).value,
        random.choice(SOURCES), timed(time, random.randbytes(10)),
    )  # fmt: skip
    event.actor, event.actor_kind = _actor(random), random.choice(list(ActorKind)).value
    event.address = random.choice((*ADDRESSES, ""))
    event.cluster, event.host = random.choice(CLUSTERS), random.choice(("", "broker-1"))
    if class_uid not in (AUTHENTICATION, APPLICATION_LIFECYCLE) or random.random() < 0.1:
        event.resource_type, event.resource = random.choice(_KINDS), name(random)
    event.operation = random.choice(("READ", "ALTER_CONFIGS", "PutObject", ""))
    event.access_path = random.choice(list(AccessPath)).value
    event.rule = random.choice(("", "DefaultDeny", f"MatchingAcl({name(random)})"))
    event.retention = random.choice(("standard", "standard", "long-term"))
    event.suspect = random.random() < 0.01
    event.leg = "request" if random.random() < 0.01 else ""
    event.blind_spots = random.choice(((), ("zone_assumed",), ("zone_assumed", "no_request")))
    event.message = f"{event.actor} was denied {event.resource} from {event.address}"[:500]
    event.carriage = Carriage(f"{name(random)[:300]}.log", random.randrange(1000), False)
    event.raw = random.choice(_RAW)
    project(Fact(event, document=_beside(random, event)), _PRODUCT, START)
    return event


def _beside(random: Random, event: Event) -> dict[str, Any]:
    """What a source states beside the columns: other names, where those of other classes stand."""
    if event.class_uid == AUTHENTICATION:
        return {"service": {"name": "kafka"}}
    said: dict[str, Any] = {}
    if event.class_uid == API_ACTIVITY and random.random() < 0.2:
        first = {"name": event.resource, "type": event.resource_type}
        others = [{"uid": "arn:aws:s3:::b"}, {"name": name(random), "type": "Topic"}]
        if len(event.resource) > 4_000:
            # Beside a name too long to be indexed no source states another.
            others.pop()
        said["resources"] = [first, *others]
    if event.class_uid == API_ACTIVITY and random.random() < 0.2:
        said["entity"] = {"name": name(random)}
    if not event.address and random.random() < 0.5:
        said["src_endpoint"] = {"name": "192.0.2.0/24"}
    return said


def _finding(random: Random, events: Sequence[Event], number: int) -> Iterator[Finding]:
    """Versions of a finding; some are taken back, and then rest on nothing."""
    evidence = sorted(random.choices(events, k=random.choice((1, 2, 30))), key=_key)
    about = random.choice(evidence)
    identity = timed(evidence[0].time, number.to_bytes(10, "big"))
    last = random.choice(("open", "open", "superseded", "withdrawn"))
    versions = random.randint(1, 3)
    for version in range(1, versions + 1):
        part = evidence[: max(1, len(evidence) * version // versions)]
        status = last if version == versions else "open"
        found = Finding(
            identity, version, status, random.choice(("acl_change", "log_forgery")),
            f"address={about.address}", about.cluster, random.randint(1, 5),
            part[0].time, part[-1].time, len(part), random.random() < 0.1, False,
            about.actor, about.address, () if status == "withdrawn" else tuple(e.id for e in part),
            (random.randbytes(16),) if random.random() < 0.1 else (),
        )  # fmt: skip
        found.ocsf = document(
            found, title=f"Something of {about.resource}"[:80], message=about.message,
            analytic="A detector", attacks=(), triage=("Look.",),
        )  # fmt: skip
        yield found


def _key(event: Event) -> tuple[int, bytes]:
    return event.time, event.id


def _letter(random: Random) -> DeadLetter:
    raw = f"{_actor(random)} from {random.choice(ADDRESSES)} on {name(random)}".encode()
    if random.random() < 0.2:
        raw = b"\xff\xfe" + raw
    return DeadLetter(
        id=random.randbytes(16), time=random.choice((0, _time(random))),
        reason=random.choice(("torn", "not_utf8")), detail="a line was expected",
        source=random.choice((*SOURCES, "auto")), cluster=random.choice(CLUSTERS), host="",
        carrier=random.choice((*(f"{n[:200]}.log" for n in NAMES), "")),
        position=random.randint(-1, 3), length=len(raw), digest="00" * 32,
        head=raw[:300].decode("utf-8", "backslashreplace"), raw=random.choice((raw, b"")),
    )  # fmt: skip
