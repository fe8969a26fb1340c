"""How rows are shown to people and programs. Names are attackers' text: none reaches a terminal
with its control characters, and none a spreadsheet as a formula."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pipeline.errors import UnusableError

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str], int]
"""Heading, cell, and the widest it may get (0: what is left of the line)."""

_PAGE = 500
_ANY = 0
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def clean(text: str) -> str:
    """Text with everything unprintable escaped, for a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def who(principal: str) -> str:
    """A principal for a table: of an ARN, whose beginning says little, account and name."""
    if not principal.startswith("arn:"):
        return principal or "-"
    return " ".join(principal.split(":", 5)[4:]).strip()


def short(principal: str) -> str:
    """The name in a principal, for where its account is plain or room is short."""
    if not principal.startswith("arn:"):
        return principal
    return principal.split(":", 5)[-1]


def when(time_ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond; empty for a time nobody knows."""
    if not time_ms:
        return ""
    try:
        at = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
    return at.strftime("%Y-%m-%d %H:%M:%S") + f".{time_ms % 1000:03d}Z"


def table(rows: Iterable[Row], columns: Sequence[Column]) -> int:
    """Print rows as a table, a page at a time; returns how many there were."""
    total, source = 0, iter(rows)
    widths: list[int] = []
    while page := list(islice(source, _PAGE)):
        cells = [[clean(cell(row)) for _, cell, _ in columns] for row in page]
        wanted = _widths(cells, columns)
        if widths:
            widths = [max(pair) for pair in zip(widths, wanted, strict=True)]
        else:
            widths = wanted
            headings = (_fit(h, w) for (h, _, _), w in zip(columns, widths, strict=True))
            print("  ".join(headings).rstrip())
        for line in cells:
            shown = (_fit(c, w) for c, w in zip(line, widths, strict=True))
            print("  ".join(shown).rstrip())
        total += len(page)
    return total


def _widths(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> list[int]:
    terminal = shutil.get_terminal_size((160, 24)).columns
    widths = []
    for place, (heading, _, most) in enumerate(columns):
        longest = max(len(heading), *(len(line[place]) for line in cells))
        widths.append(min(longest, most) if most else longest)
    open_ended = [i for i, (_, _, most) in enumerate(columns) if not most]
    left = terminal - sum(widths) - 2 * (len(widths) - 1) + sum(widths[i] for i in open_ended)
    for i in open_ended:
        widths[i] = max(20, min(widths[i], left)) if sys.stdout.isatty() else _ANY
    return widths


def _fit(cell: str, width: int) -> str:
    if width == _ANY:
        return cell
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"


def lines(documents: Iterator[bytes]) -> int:
    """Print JSON documents, one a line; returns how many there were."""
    total = 0
    sys.stdout.flush()
    out, seen = sys.stdout.buffer, sys.stdout.isatty()
    while page := list(islice(documents, _PAGE)):
        text = b"\n".join(page)
        out.write((_escaped(text) if seen else text) + b"\n")
        total += len(page)
    out.flush()
    return total


def _escaped(documents: bytes) -> bytes:
    """The same JSON for a terminal: what is not printable is escaped as JSON does it."""
    text = documents.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return documents
    return "".join(c if c.isprintable() or c == "\n" else _unit(c) for c in text).encode()


def _unit(character: str) -> str:
    # JSON lets this one stand as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def as_csv(rows: Iterable[Row], names: Sequence[str]) -> int:
    """Print rows as CSV (RFC 4180) with a heading; returns how many there were."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    total, seen = 0, sys.stdout.isatty()
    for row in rows:
        cells = (_cell(row[name]) for name in names)
        writer.writerow([clean(c) if seen and isinstance(c, str) else c for c in cells])
        total += 1
        if total % _PAGE == 0:
            sys.stdout.write(text.getvalue())
            text.seek(0)
            text.truncate()
    sys.stdout.write(text.getvalue())
    return total


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        value = value.replace("\0", "\\x00")
        return "'" + value if value.startswith(_FORMULA) else value
    return value


def tell(done: str, *several: str) -> None:
    """Print what was done, at once and as it is.

    Raises:
        UnusableError: nobody hears it; ``done`` says in a few words what was done all the same.
    """
    try:
        for said in several:
            print(said)
        sys.stdout.flush()
    except OSError as error:
        drop_output()
        why = error.strerror or error
        raise UnusableError(f"{done}, but that could not be shown: {why}") from None


def drop_output() -> None:
    """Let go of what is still waiting to be written: it would fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def notice(text: str) -> None:
    """Something a person should know, beside the output."""
    print(f"auditstream: {clean(text)}", file=sys.stderr)
