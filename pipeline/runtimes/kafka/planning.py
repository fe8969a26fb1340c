"""What `auditstream topics` would do to a cluster, and doing it. Nothing is shrunk or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.rights import COUNTERS, STATEFUL
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError, Found
from pipeline.runtimes.kafka.rekeying import Before, Progress, Rekeying
from pipeline.runtimes.kafka.topics import (
    COMPACTED,
    PLACED,
    Made,
    Wanted,
    broken,
    counters_topic,
    counters_wanted,
    generation,
    made,
    mark,
    wanted,
    way_out,
)
from pipeline.stages.detect import Active
from pipeline.streaming import RAW, Streaming

NOTHING: Final = "nothing"
MAKE: Final = "make"
ALTER: Final = "alter"
REKEY: Final = "re-key"
REFUSE: Final = "refuse"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one topic.

    Attributes:
        action: one of the words above.
        now: the topic as it is; None: there is none.
        grow: partitions to have; 0: those it has.
        differing: by setting, what it is and what it is to be.
        unmarked: what it was made with is yet to be written down.
        said: for a person.
        before: of the counters' next generation, the one it goes on from.
    """

    want: Wanted
    action: str
    now: Found | None = None
    grow: int = 0
    differing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unmarked: bool = False
    said: str = ""
    before: Before | None = None


def plan(cluster: Cluster, streaming: Streaming) -> list[Step]:
    """What is to be done, in order. Raises `ClusterError`."""
    found = cluster.topics()
    marks = made(cluster, streaming) if streaming.topic("state") in found else {}
    wants = [*_as_placed(streaming, found)]
    current = counters_topic(streaming, marks)
    wants = [
        counters_wanted(streaming, generation(streaming, current)) if w.name == COUNTERS else w
        for w in wants
    ]
    there = [want.topic for want in wants if want.topic in found]
    settings = cluster.configurations(there)
    steps = []
    for want in wants:
        now = found.get(want.topic)
        kept = COUNTERS if generation(streaming, want.topic) else want.name
        as_made = marks.get(kept)
        wrong = broken(cluster, as_made, found) if as_made else ""
        if wrong and kept == COUNTERS:
            steps.append(_next(streaming, found, _before(cluster, current, now, as_made), wrong))
        elif wrong:
            steps.append(Step(want, REFUSE, now, said=f"{wrong}; {way_out(streaming, kept)}"))
        elif now is None:
            steps.append(Step(want, MAKE, unmarked=kept in PLACED))
        else:
            steps.append(_standing(want, now, settings[want.topic], as_made))
            if kept == COUNTERS and now.partitions < streaming.partitions:
                said = f"{current} has {now.partitions} partitions, not {streaming.partitions}"
                steps.append(_next(streaming, found, _before(cluster, current, now, as_made), said))
    return steps


def apply(
    streaming: Streaming,
    active: Active,
    say: Say,
    progress: Progress,
    cluster: Cluster | None = None,
) -> int:
    """Do what `plan` says; tells each deed, and returns how many there were.

    Raises:
        ClusterError: the brokers refuse, or the counters would be re-keyed while workers run.
    """
    cluster = cluster or Cluster(streaming)
    steps = plan(cluster, streaming)
    if any(step.action == REKEY for step in steps):
        _check_stopped(cluster, streaming)
    deeds = 0
    for step in steps:
        if step.action in (MAKE, ALTER):
            deeds += _carry_out(cluster, step, say)
        elif step.action == REFUSE:
            say(f"left as it is: {step.said}")
        elif step.said:
            say(f"{step.want.topic}: {step.said}")
    # Only then is there a topic to write it down in.
    for step in steps:
        if step.unmarked:
            _mark(cluster, streaming, step.want.name, step.want.topic)
            deeds += 1
    for step in steps:
        if step.action == REKEY:
            deeds += 1
            _rekey(cluster, streaming, active, step, say, progress)
    return deeds


def _as_placed(streaming: Streaming, found: Mapping[str, Found]) -> Iterator[Wanted]:
    """The table; of an estate's clocks and events, that made later has as many as the other."""
    pair = ("control", "clocks")
    there = [found[topic] for name in pair if (topic := streaming.topic(name)) in found]
    for want in wanted(streaming):
        if want.name in pair and there and want.topic not in found:
            yield replace(want, partitions=there[0].partitions)
        else:
            yield want


def _standing(want: Wanted, now: Found, settings: Mapping[str, str], as_made: Made | None) -> Step:
    """What is to be done about a topic that is there."""
    differing = {
        name: (settings.get(name, ""), value)
        for name, value in want.settings_for(now.replicas).items()
        if settings.get(name) != value
    }
    # A file under way would go on in another partition, where nobody knows what was read of it:
    # what is sent again after a crash would count a second time.
    raw = want.name.startswith(f"{RAW}.")
    fixed = raw or want.name in (*PLACED, *COMPACTED) or as_made is not None
    grow = 0 if fixed or now.partitions >= want.partitions else want.partitions
    unmarked = want.name in PLACED and as_made is None
    action = ALTER if grow or differing else NOTHING
    return Step(want, action, now, grow, differing, unmarked, _remarks(want, now, fixed))


def _remarks(want: Wanted, now: Found, fixed: bool) -> str:
    said = []
    if now.partitions > want.partitions:
        said.append(f"has {now.partitions} partitions, more than {want.partitions}; none is taken")
    elif fixed and now.partitions < want.partitions and not want.name.startswith(COUNTERS):
        what = "files under way" if want.name.startswith(f"{RAW}.") else "its keys"
        said.append(f"stays at {now.partitions} partitions: growing it would part {what}")
    if now.replicas < want.replication:
        said.append(
            f"has {now.replicas} copies, not {want.replication} (kafka-reassign-partitions)"
        )
    return "; ".join(said)


def _before(cluster: Cluster, topic: str, now: Found | None, as_made: Made | None) -> Before:
    """The counters' generation that counts, as it is."""
    has = now.partitions if now else 0
    if as_made is None:
        return Before(topic, has, has, there=True)
    there = now is not None and cluster.ids([topic])[topic] == as_made.topic_id
    return Before(topic, as_made.partitions, max(has, as_made.partitions), there)


def _next(streaming: Streaming, found: Mapping[str, Found], before: Before, why: str) -> Step:
    """The counters' next generation: one that was begun and not completed, if it fits."""
    newest = max(generation(streaming, name) for name in (*found, before.topic))
    source = "" if before.there else ", out of the events"
    said = f"{why}; the counters go on here{source}"
    begun = counters_wanted(streaming, newest)
    if begun.topic != before.topic and found[begun.topic].partitions == begun.partitions:
        return Step(begun, REKEY, found[begun.topic], said=said, before=before)
    return Step(counters_wanted(streaming, newest + 1), REKEY, said=said, before=before)


def _check_stopped(cluster: Cluster, streaming: Streaming) -> None:
    for role in STATEFUL:
        group = f"{streaming.group}-{role}"
        if members := cluster.members(group):
            raise ClusterError(
                f"the counters need another generation, and {members} workers are in the group "
                f"{group}: they would go on writing to the old one. Stop all workers, then run "
                "`auditstream topics apply` again, and start them"
            )


def _make(cluster: Cluster, want: Wanted, say: Say) -> None:
    cluster.make(want.topic, want.partitions, want.replication, want.settings)
    say(f"{want.topic}: made, with {want.partitions} partitions")


def _carry_out(cluster: Cluster, step: Step, say: Say) -> int:
    want = step.want
    if step.now is None:
        _make(cluster, want, say)
        return 1
    deeds = 0
    if step.grow:
        cluster.grow(want.topic, step.grow)
        say(f"{want.topic}: {step.now.partitions} partitions are {step.grow} now")
        deeds += 1
    if step.differing:
        cluster.alter(want.topic, {name: to for name, (_, to) in step.differing.items()})
        for name, (was, to) in step.differing.items():
            say(f"{want.topic}: {name} was {was or 'not set'}, is {to} now")
        deeds += 1
    return deeds


def _mark(cluster: Cluster, streaming: Streaming, name: str, topic: str) -> None:
    now = cluster.topics()[topic]
    as_made = Made(topic, now.partitions, cluster.ids([topic])[topic])
    mark(cluster, streaming, COUNTERS if name.startswith(COUNTERS) else name, as_made)


def _rekey(
    cluster: Cluster,
    streaming: Streaming,
    active: Active,
    step: Step,
    say: Say,
    progress: Progress,
) -> None:
    want, before = step.want, step.before
    assert before is not None
    if step.now is None:
        _make(cluster, want, say)
    else:
        cluster.alter(want.topic, want.settings_for(step.now.replicas))
    rekeying = Rekeying(cluster, streaming, active, want.topic, want.partitions)
    keys, sent, lost = rekeying.carry_over(before, progress)
    _check_stopped(cluster, streaming)
    # Not before all is acknowledged: this is what makes it the one that counts.
    _mark(cluster, streaming, want.name, want.topic)
    say(f"{want.topic}: {keys:,} keys, {sent:,} observations; the counters are here now")
    if lost:
        said = "positions were deleted before anybody counted them: findings may count too few"
        say(f"LOST: {before.topic}: {lost:,} {said}")
