"""What every decoder of requests is made of: parts of a request, and how fields are read.

Results are found by name where the response repeats it, and by position only where both lists are
as long; what has none takes the whole response's, and what has not even that is neither success
nor failure. A field of another type than the schema's makes the line unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.errors import Reason, Unreadable

Node = Mapping[str, Any]
ANY: Final = "<any>"
DEFAULT: Final = "<default>"
CLUSTER: Final = "kafka-cluster"
NO_ID: Final = "A" * 22
"""A topic id of zeroes, as Kafka writes it: none."""
UNKNOWN: Final = "Unknown"


@dataclass(slots=True)
class Item:
    """One part of a request.

    Attributes:
        kind, action, item, after, before: as in a deed.
        resource_type, resource: of the target.
        pattern_type: of an access rule.
        words: what it is about, as a sentence's object.
        result: the part of the response that answers it, or None.
        nothing: where it succeeded, there was nothing to do.
        topic_id: where the record says it.
        unknown: columns whose number this release does not know.
    """

    kind: str
    action: str
    resource_type: str
    resource: str
    item: str = ""
    after: Any = None
    before: Any = None
    pattern_type: str = ""
    words: str = ""
    result: Node | None = None
    nothing: bool = False
    topic_id: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """What is changed: ``Topic:payments``."""
        if self.resource_type == "Quota":
            return self.resource
        return f"{self.resource_type}:{self.resource}"


@dataclass(slots=True)
class Enums:
    """Reads enumerations, and remembers what it did not know."""

    unknown: list[str] = field(default_factory=list)

    def __call__(self, table: Mapping[int, str], node: Node, key: str, default: int = 0) -> str:
        name = table.get(number(node, key, default))
        if name is None:
            self.unknown.append(re.sub("(?=[A-Z])", "_", key).lower())
        return name or UNKNOWN


def wrong(key: str) -> Unreadable:
    """What is raised where a field is not of its type."""
    return Unreadable(Reason.UNKNOWN_LAYOUT, f"{key} is not as Kafka's schemas have it")


def _get(node: Node, key: str, kind: type, default: Any) -> Any:
    value = node.get(key, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise wrong(key)
    return value


def text(node: Node, key: str, default: str | None = None) -> str:
    """A text that has to be there, unless there is a default."""
    value: str = _get(node, key, str, default)
    return value


def number(node: Node, key: str, default: int | None = None) -> int:
    """An integer, likewise."""
    value: int = _get(node, key, int, default)
    return value


def maybe(node: Node, key: str) -> str:
    """A text that may be missing or null: then it is empty."""
    return "" if node.get(key) is None else text(node, key)


def listed(node: Node, key: str) -> list[Any]:
    """A list."""
    value: list[Any] = _get(node, key, list, None)
    return value


def nodes(node: Node, key: str, *, required: bool = True) -> list[Node]:
    """A list of objects. Where it is not required it may also be missing or null."""
    if not required and node.get(key) is None:
        return []
    found = listed(node, key)
    if not all(isinstance(each, dict) for each in found):
        raise wrong(key)
    return found


def numbers(node: Node, key: str) -> list[int]:
    """A list of integers."""
    found = listed(node, key)
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in found):
        raise wrong(key)
    return found


def texts(node: Node, key: str) -> list[str]:
    """A list of texts."""
    found = listed(node, key)
    if not all(isinstance(name, str) for name in found):
        raise wrong(key)
    return found


class Results(dict[Any, Node]):
    """Parts of a response by what they say they are about. ``whole``: the response itself, for
    what no part answers, where it has a code of its own."""

    def __init__(self, response: Node, pairs: Iterable[tuple[Any, Node]] = ()) -> None:
        super().__init__(pairs)
        self.whole = response if "errorCode" in response else None

    def of(self, key: Any) -> Node | None:
        """The part that answers, else the whole."""
        return self.get(key, self.whole)


def named(response: Node, within: str, *keys: str) -> Results:
    """Parts of a response by these of their fields."""
    found = nodes(response, within, required=False)
    return Results(response, ((tuple(_key(n.get(k)) for k in keys), n) for n in found))


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else None


def partitioned(
    response: Node, within: str, name: str, inner: str = "partitions", index: str = "partitionIndex"
) -> Results:
    """Parts of a response by topic and partition."""
    pairs = (
        ((topic_of(topic, name)[0], _key(part.get(index))), part)
        for topic in nodes(response, within, required=False)
        for part in nodes(topic, inner, required=False)
    )
    return Results(response, pairs)


def topic_of(node: Node, key: str = "name") -> tuple[str, str]:
    """A topic's name, in angle brackets its id where only that is said, and its id."""
    topic_id = maybe(node, "topicId")
    topic_id = "" if topic_id == NO_ID else topic_id
    name = maybe(node, key)
    if not name and not topic_id and not isinstance(node.get(key), str):
        raise wrong(key)
    return (name or f"<{topic_id}>" if topic_id else name), topic_id


def parts(request: Node, name: str) -> Iterator[tuple[str, str, Node]]:
    """Topic, its id, and each of its partitions."""
    for topic in nodes(request, "topics"):
        said, topic_id = topic_of(topic, name)
        for part in nodes(topic, "partitions"):
            yield said, topic_id, part
