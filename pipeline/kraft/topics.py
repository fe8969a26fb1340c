"""Topics and partitions: their records, and the results of requests for them.

A topic that is refused for its name may be called anything, so also like further items. But the
error's text repeats the name, and what fits once does not fit twice: unless every item is exactly
as it must be, none of them is believed.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.errors import Reason, Unreadable
from pipeline.kraft.stated import ID, MOST_DETAIL, TOPIC, Phrases, Stated, fit

_ITEM = "CreatableTopic(name='"
_NUMBERS = re.compile(
    r"numPartitions=(-?\d{1,10}), replicationFactor=(-?\d{1,6}), assignments=\[", re.ASCII
)
_VERDICT = re.compile(r"\]\): (?:SUCCESS(?=\Z|, )|([A-Z][A-Z_\d]{1,60}) \()", re.ASCII)
_DELETED = re.compile(
    r"\{id: ([\w-]{1,40}), name: ([\w.-]{1,249}), result: ([A-Z][A-Z_\d]{1,60})\}(?:, )?",
    re.ASCII,
)


def _topic(text: str) -> tuple[Stated, ...]:
    name, topic_id = fit(f"{TOPIC} with (?:topic )?ID {ID}", text).groups()
    return (
        Stated(
            "TopicRecord", "create", "Topic", name, f"Topic {name} was created",
            "topic", f"Topic:{name}", after={"topic_id": topic_id},
        ),
    )  # fmt: skip


def _topic_gone(text: str) -> tuple[Stated, ...]:
    name, topic_id = fit(f"{TOPIC} with (?:topic )?ID {ID}", text).groups()
    return (
        Stated(
            "RemoveTopicRecord", "delete", "Topic", name, f"Topic {name} was deleted",
            "topic", f"Topic:{name}", extra=(("topic_id", topic_id),),
        ),
    )  # fmt: skip


def _partition(text: str) -> tuple[Stated, ...]:
    pattern = rf"{TOPIC}-(\d{{1,10}}) with topic ID {ID} and \w+\(replicas=\[([\d, ]*)\][^\n]*\)"
    name, number, topic_id, replicas = fit(pattern, text).groups()
    return (
        Stated(
            "PartitionRecord", "create", "Topic", name,
            f"Partition {number} of Topic {name} was created",
            "partitions", f"Topic:{name}", number, {"replicas": _numbers(replicas)},
            extra=(("topic_id", topic_id),),
        ),
    )  # fmt: skip


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip(" ").isdecimal()]


def _assignment(text: str) -> tuple[Stated, ...]:
    """A reassignment that begins names replicas it adds or removes; its end, or a reassignment
    called off, none."""
    record, _, name = text.rpartition(" for topic ")
    fit(r"PartitionChangeRecord\([^\n]*\)", record)
    fit(TOPIC, name)
    number = re.search(r"\(partitionId=(\d{1,10}), topicId=", record)
    adding, removing, replicas = (
        _numbers(found[1]) if (found := re.search(rf"\b{word}=\[([\d, ]*)\]", record)) else None
        for word in ("addingReplicas", "removingReplicas", "replicas")
    )
    item, target = number[1] if number else "", f"Topic:{name}"
    extra = (("adding", adding or []), ("removing", removing or []))
    if not (number and replicas and (adding or removing)):
        sentence = f"The assignment of partition {item} of Topic {name} was settled"
        return (Stated("PartitionChangeRecord", "", "Topic", name, sentence, extra=extra),)
    wanted = [replica for replica in replicas if replica not in (removing or ())]
    sentence = f"Partition {item} of Topic {name} was reassigned to replicas {wanted}"
    return (
        Stated(
            "PartitionChangeRecord", "alter", "Topic", name, sentence,
            "reassignment", target, item, {"replicas": wanted}, extra=extra,
        ),
    )  # fmt: skip


def _election(text: str) -> tuple[Stated, ...]:
    found = re.match(rf"{TOPIC}-(\d{{1,10}}) with topic ID {ID}: ", text, re.ASCII)
    if found is None:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "no partition's change")
    what = f"Partition {found[2]} of Topic {found[1]} changed: {text[found.end() :]}"
    return (Stated("PartitionChangeRecord", "", "Topic", found[1], what[:MOST_DETAIL]),)


def _created(text: str) -> tuple[Stated, ...]:
    if not text.startswith(_ITEM):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`CreatableTopic(…)` was expected")
    if not text.endswith((")", "): SUCCESS")):
        raise Unreadable(Reason.TORN, "the last topic's result is missing")
    items = [_create(item) for item in text.removeprefix(_ITEM).split(", " + _ITEM)]
    if not all(items):
        return (_unclear("CreateTopics", "create"),)
    return tuple(item for item in items if item is not None)


def _create(text: str) -> Stated | None:
    """One item behind ``name='``, or None where its words do not stand where they must."""
    name, _, rest = text.partition("', ")
    numbers, verdicts = _NUMBERS.match(rest), list(_VERDICT.finditer(rest))
    if numbers is None or len(verdicts) != 1 or "', numPartitions=" in rest:
        return None
    code, detail = verdicts[0][1] or "", rest[verdicts[0].end() :]
    if (code and not detail.endswith(")")) or (not code and detail):
        return None
    return Stated(
        "CreateTopics", "create", "Topic", name,
        f"Topic {name} was " + (f"not created: {code}" if code else "created"),
        "topic", f"Topic:{name}", "",
        {"partitions": int(numbers[1]), "replication_factor": int(numbers[2])},
        success=not code, code=code, detail=detail[:-1][:MOST_DETAIL],
    )  # fmt: skip


def _deleted(text: str) -> tuple[Stated, ...]:
    if not text.endswith("}"):
        raise Unreadable(Reason.TORN, "the last topic's result is missing")
    items: list[Stated] = []
    place = 0
    while place < len(text):
        found = _DELETED.match(text, place)
        if found is None:
            return (_unclear("DeleteTopics", "delete"),)
        place = found.end()
        topic_id, name, code = found.groups()
        if name == "null" and code == "UNKNOWN_TOPIC_ID":
            name = topic_id
        failed = code != "SUCCESS"
        items.append(
            Stated(
                "DeleteTopics",
                "delete",
                "Topic",
                name,
                f"Topic {name} was " + (f"not deleted: {code}" if failed else "deleted"),
                "topic",
                f"Topic:{name}",
                success=not failed,
                code=code if failed else "",
                extra=(("topic_id", topic_id),),
            )
        )
    return tuple(items)


def _unclear(operation: str, action: str) -> Stated:
    sentence = f"Results of {operation} that can be read in more ways than one"
    return Stated(operation, action, "Topic", "", sentence, success=False, ambiguous=True)


TOPICS: Final[Phrases] = (
    ("Replayed TopicRecord for topic ", ".", _topic),
    ("Created topic ", ".", _topic),
    ("Replayed RemoveTopicRecord for topic ", ".", _topic_gone),
    ("Removed topic ", ".", _topic_gone),
    ("Replayed PartitionRecord for new partition ", ".", _partition),
    ("Created partition ", ".", _partition),
    ("Replayed partition assignment change ", "", _assignment),
    ("Replayed partition change ", "", _assignment),
    ("UNCLEAN partition change for ", "", _election),
    ("partition change for ", "", _election),
    ("CreateTopics result(s): ", "", _created),
    ("createTopics result(s): ", "", _created),
    ("DeleteTopics result(s): ", "", _deleted),
)
