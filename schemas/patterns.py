"""Patterns of names: ``*`` is any run of characters, everything else itself."""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern fits all of a name. Linear time: the name may be a client's text.

    An empty pattern or name fits nothing.
    """
    first, *rest = pattern.split("*")
    if not pattern or not name or not rest:
        return bool(pattern) and pattern == name
    last = rest.pop()
    place, stop = len(first), len(name) - len(last)
    if place > stop or not name.startswith(first) or not name.endswith(last):
        return False
    for part in rest:
        found = name.find(part, place, stop)
        if found < 0:
            return False
        place = found + len(part)
    return True
