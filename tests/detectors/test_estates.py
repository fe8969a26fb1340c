"""Estate detectors upon random estates: whatever the order in which pieces come, however often they
are judged on the way, what is settled in the end is the same, and nothing is said twice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import orjson
import pytest

from detectors.contract import EstateDetector, Judgement
from detectors.estates import settle
from detectors.runs import MOST_EVIDENCE
from pipeline.changes.join import join
from pipeline.changes.legs import OneLeg
from pipeline.registry import detectors
from schemas.changes import Deed, Lifecycle
from schemas.support import Activity, SupportRecord
from schemas.types import Finding
from schemas.vocabulary import Leg
from tests.changes.deeds import Done, deeds, legs_of
from tests.detectors import support
from tests.detectors.test_estate_examples import ESTATES, life, name, picture
from tests.detectors.worker import T0

SEEDS = range(30)
_PATTERNS = {"audit_weakened": {"audit_topics": ("audit",)}}
"""``tests.changes.deeds`` calls its audit topic so."""

View = set[tuple[object, ...]]
Piece = OneLeg | Lifecycle | SupportRecord | Activity
"""One event, as an estate detector or what comes before it takes it."""


def legs(seed: int, count: int = 40) -> list[OneLeg]:
    """Legs of random deeds, with ids that begin with their times, as real ones do."""
    random = Random(seed)
    made = [leg for n, d in enumerate(deeds(random, count)) for leg in legs_of(d, random, n % 5)]
    return [replace(leg, id=name(leg.time, random.getrandbits(80))) for leg in made]


def lives(seed: int) -> list[Lifecycle]:
    """What brokers say of themselves, now and then something else."""
    random, out = Random(seed), []
    for number in range(30):
        host = random.choice(("broker-1", "broker-2"))
        at = random.randrange(20)
        if random.random() < 0.5:
            users = random.choice(("User:admin", "User:admin;User:ops", ""))
            out.append(life(number, at, host=host, settings={"super.users": users}))
        else:
            stated = {"logger": "kafka.authorizer.logger"}
            if random.random() < 0.8:
                stated["level"] = random.choice(("DEBUG", "INFO", "WARN"))
            out.append(life(number, at, host=host, kind="SetLogLevel", settings=stated))
    return out


def clouds(seed: int) -> list[OneLeg]:
    """A cloud's own records of what shuts and opens."""
    random, out = Random(seed), []
    for number in range(12):
        time = T0 + 1000 * random.randrange(20)
        opened = {
            "effect": "Allow", "to": random.choice(("*", "444455556666")), "reach": "everyone",
            "actions": ["s3:GetObject"], "conditional": random.random() < 0.5,
        }  # fmt: skip
        deed = random.choice(
            (
                Deed("state", "disable", "Key:k-1", after={"state": "disabled"}),
                Deed("state", "enable", "Key:k-1", after={"state": "enabled"}),
                Deed("state", "disable", "Trail:main", after={"state": "stopped"}),
                Deed("policy", "set", "Bucket:logs", "policy", after={"grants": [opened]}),
                Deed("policy", "delete", "Bucket:logs", "policy"),
            )
        )
        actor = random.choice(("arn:aws:iam::111122223333:user/ann", ""))
        outcome = random.choice(("success", "success", "failure"))
        id = name(time, 2000 + number)
        place = random.choice((("111122223333", "eu-west-1", ""), ("444455556666", "", "")))
        leg = OneLeg(id, time, Leg.RECORD, "", actor, "192.0.2.7", outcome, deed, start=time)
        out.append(replace(leg, place=place))
    return out


def everything(seed: int) -> list[Piece]:
    """Of all that an estate has, something."""
    seen = support.picture(Random(seed))
    return [*legs(seed), *clouds(seed), *lives(seed), *seen.records, *seen.activity]


class Estate:
    """One estate under one detector, judged again and again."""

    def __init__(self, detector: str) -> None:
        found = detectors()[detector]
        assert isinstance(found, EstateDetector)
        self.detector = found
        self.settings = found.settings(**_PATTERNS.get(detector, {}))
        self.last: dict[bytes, Finding] = {}
        self.history: list[Finding] = []

    def judge(self, held: Iterable[Piece]) -> list[Finding]:
        """Judge what is held. Only legs may be held twice: all else is by its event."""
        held = list(held)
        changes = join("c", [one for one in held if isinstance(one, OneLeg)])
        seen = picture([*changes, *(one for one in held if not isinstance(one, OneLeg))])
        return self.take(self.detector.judge(seen, self.settings))

    def take(self, judgements: Iterable[Judgement]) -> list[Finding]:
        new = settle(self.detector, "c", judgements, self.last.values())
        for found in new:
            before = self.last.get(found.id)
            assert found.version == (before.version if before else 0) + 1
        self.last.update((found.id, found) for found in new)
        self.history += new
        return new

    def view(self) -> View:
        return {
            (f.id, f.evidence, f.severity_id, f.first_time, f.last_time, f.count, f.actor, f.key)
            for f in self.last.values()
            if f.status == "open"
        }


def sound(estate: Estate) -> None:
    """Who was superseded is named by who took its place, and documents say what columns say."""
    standing = {f.id for f in estate.last.values() if f.status == "open"}
    gone = {f.id for f in estate.last.values() if f.status == "superseded"}
    heirs = [f for f in estate.last.values() if f.id not in gone]
    # An heir may have been withdrawn in its turn.
    assert gone <= {old for heir in heirs for old in heir.supersedes}
    assert not standing & {old for f in heirs if f.id in standing for old in f.supersedes}
    for found in estate.history:
        said = orjson.loads(found.ocsf)
        assert said["count"] == found.count
        assert said["auditstream"]["version"] == found.version
        assert said["auditstream"]["status"] == found.status
        assert said["auditstream"]["supersedes"] == [old.hex() for old in found.supersedes]
        assert found.first_time <= found.last_time
        assert found.status != "open" or found.first_time == int.from_bytes(found.id[:6], "big")


def parts(random: Random, things: Sequence[Piece]) -> list[list[Piece]]:
    """More and more of them, in random order, up to all."""
    arrivals = random.sample(things, len(things))
    sizes = sorted({*random.sample(range(len(things)), 8), len(things)})
    return [arrivals[:size] for size in sizes]


@pytest.mark.parametrize("detector", ESTATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_settles_on_the_same_and_nothing_is_said_twice(seed: int, detector: str) -> None:
    whole = Estate(detector)
    whole.judge(everything(seed))
    slow = Estate(detector)
    for held in parts(Random(seed), everything(seed)):
        slow.judge(held)
        Random(seed).shuffle(held)
        assert slow.judge([*held, *(one for one in held[::3] if isinstance(one, OneLeg))]) == []
        sound(slow)
    assert slow.view() == whole.view()


@pytest.mark.parametrize("detector", ESTATES)
def test_random_estates_have_findings(detector: str) -> None:
    """The sets above reach every detector."""
    fired = 0
    for seed in SEEDS:
        fired += bool(Estate(detector).judge(everything(seed)))
    assert fired > len(SEEDS) / 2


def test_random_orders_amend_and_supersede() -> None:
    """The sets above reach what they are for."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        estate = Estate("acl_change")
        for part in parts(Random(seed), legs(seed)):
            estate.judge(part)
        seen.update(f.status for f in estate.history)
        seen["amended"] += sum(f.status == "open" and f.version > 1 for f in estate.history)
    assert min(seen["amended"], seen["superseded"]) > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_every_acl_that_changed_is_one_finding(seed: int) -> None:
    random = Random(seed)
    done = [d for d in deeds(random, 60) if d.deed.kind == "acl"]
    estate = Estate("acl_change")
    estate.judge(
        replace(leg, id=name(leg.time, random.getrandbits(80)))
        for n, d in enumerate(done)
        for leg in legs_of(d, random, n)
    )
    made = Counter((d.actor, d.deed.target) for d in done if d.outcome == "success")
    told: Counter[tuple[str, str]] = Counter()
    for found in estate.last.values():
        told[found.actor, found.key.split()[0].removeprefix("acl=")] += found.count
    assert told == made


def grant() -> list[OneLeg]:
    """One grant: its request, twin, decision and effect."""
    random = Random(1)
    after = {"principal": "User:x", "host": "*", "operation": "READ", "permission": "ALLOW"}
    deed = Deed("acl", "create", "Topic:*", "LITERAL|User:x|*|READ|ALLOW", after=after)
    made = legs_of(Done(T0, "User:ann", deed), random, 1)
    return [replace(leg, id=name(leg.time, n)) for n, leg in enumerate(made)]


def test_late_legs_amend_and_an_earlier_one_supersedes() -> None:
    by_leg = {leg.leg: leg for leg in grant()}
    estate = Estate("acl_change")
    (first,) = estate.judge([by_leg[Leg.EFFECT]])
    assert (first.actor, first.severity_id, len(first.evidence)) == ("", 4, 1)
    (amended,) = estate.judge([by_leg[Leg.EFFECT], by_leg[Leg.REQUEST]])
    assert (amended.id, amended.version, amended.actor) == (first.id, 2, "User:ann")
    assert amended.address
    gone, heir = estate.judge(by_leg.values())
    assert (gone.id, gone.version, gone.status) == (first.id, 3, "superseded")
    assert (heir.version, heir.supersedes, len(heir.evidence)) == (1, (first.id,), 4)
    assert estate.judge(by_leg.values()) == []


def test_what_the_end_of_a_file_took_back_is_open_again() -> None:
    by_leg = {leg.leg: leg for leg in grant()}
    estate = Estate("acl_change")
    estate.judge([by_leg[Leg.EFFECT]])
    estate.judge(by_leg.values())
    gone, back = estate.judge([by_leg[Leg.EFFECT]])
    assert (gone.status, back.status, back.version) == ("superseded", "open", 3)
    assert back.supersedes == (gone.id,)
    assert estate.judge([by_leg[Leg.EFFECT]]) == []
    sound(estate)
    (withdrawn,) = estate.judge([])
    assert (withdrawn.status, withdrawn.evidence) == ("withdrawn", ())
    assert estate.judge([]) == []


def test_other_words_are_an_amendment() -> None:
    estate = Estate("acl_change")
    judged = Judgement("acl=Topic:a", 3, "ACL added", "One.", (name(T0, 1),), T0, T0)
    estate.take([judged])
    (found,) = estate.take([judged._replace(message="Another.")])
    assert found.version == 2
    assert orjson.loads(found.ocsf)["message"] == "Another."


def test_what_is_about_the_same_and_begins_with_the_same_is_one() -> None:
    """As when one request names one rule twice: the decision on it is evidence of both."""
    estate = Estate("acl_change")
    one = Judgement(
        "acl=Topic:a", 2, "Low", "Low.", (name(T0, 1), name(T0 + 5, 2)), T0, T0 + 5, "User:a"
    )
    other = one._replace(severity_id=4, title="High", evidence=(name(T0, 1), name(T0 + 7, 3)))
    (found,) = estate.take([one, other._replace(last_time=T0 + 7)])
    assert (found.severity_id, found.count, found.last_time) == (4, 2, T0 + 7)
    assert len(found.evidence) == 3
    assert estate.take([other._replace(last_time=T0 + 7), one]) == []


def test_what_is_left_out_of_much_evidence_is_ground_all_the_same() -> None:
    """Earlier pieces push the old ones out of what a finding keeps, and stand before them."""
    late = tuple(name(T0 + 5_000_000, n) for n in range(5))
    early = tuple(name(T0 + n, n) for n in range(MOST_EVIDENCE + 200))
    estate = Estate("acl_change")
    one = Judgement("day=1", 4, "A", "A.", late, T0 + 5_000_000, T0 + 5_000_000)
    (first,) = estate.take([one])
    gone, heir = estate.take([one._replace(evidence=(*early, *late), first_time=T0)])
    assert (gone.id, gone.status) == (first.id, "superseded")
    assert heir.supersedes == (first.id,)
    assert len(heir.evidence) == MOST_EVIDENCE
    sound(estate)


def test_another_deed_of_the_same_request_is_no_heir() -> None:
    estate = Estate("acl_change")
    decision = name(T0, 1)
    one = Judgement("acl=Topic:a", 3, "A", "A.", (decision, name(T0 + 5, 2)), T0, T0 + 5)
    other = one._replace(key="acl=Topic:b", evidence=(decision, name(T0 + 5, 3)))
    estate.take([one, other])
    (gone,) = estate.take([other])
    assert gone.status == "withdrawn"
    # What rested on the decision alone said nothing of its own.
    rough = one._replace(key="acl=Cluster:kafka-cluster", evidence=(decision,), last_time=T0)
    fresh = Estate("acl_change")
    (unclear,) = fresh.take([rough])
    superseded, clear = fresh.take([one])
    assert (superseded.id, superseded.status) == (unclear.id, "superseded")
    assert clear.supersedes == (unclear.id,)
