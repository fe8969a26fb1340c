"""The pages of the documentation, and the command lines that stand in them.

A block of commands is fenced as ``sh``. In any other block a line that begins with ``$`` is one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.test_house import ROOT, tree

DOCKER: Final = "# needs Docker"
"""How a block begins that a test has no Docker for."""
_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`((?:\.venv/bin/)?auditstream [^`]+)`")
_SEPARATORS: Final = re.compile(r"&&|\|\||[;|]")


class Said(NamedTuple):
    """What a page says, and where."""

    page: str
    line: int
    text: str


@cache
def pages() -> tuple[Path, ...]:
    """Every page, relative to the root."""
    return tuple(p for p in tree() if p.suffix == ".md" and p.parts[0] in ("docs", p.name))


def blocks(page: Path, *languages: str) -> Iterator[Said]:
    """The fenced blocks of a page, in its order, of these languages."""
    text = (ROOT / page).read_text("utf-8")
    for found in _BLOCK.finditer(text):
        if found[1] in languages:
            yield Said(str(page), text.count("\n", 0, found.start()) + 1, found[2])


def shells(page: Path) -> Iterator[Said]:
    """The blocks of commands."""
    yield from blocks(page, "sh")
    for block in blocks(page, "", "text", "console"):
        typed = [line for line in block.text.splitlines() if line.startswith("$ ")]
        if typed:
            yield block._replace(text="".join(f"{line[2:]}\n" for line in typed))


def lines(block: Said) -> Iterator[Said]:
    """The lines of a block that do something; those that end in a backslash go on."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for number, line in enumerate(text.splitlines(), block.line + 1):
        if line and not line.startswith("#"):
            yield Said(block.page, number, line)


def everywhere() -> Iterator[Said]:
    """Every block of commands of every page."""
    for page in pages():
        yield from shells(page)


def bare() -> Iterator[Said]:
    """Every line that can be typed without Docker."""
    for block in everywhere():
        if not block.text.startswith(DOCKER):
            yield from lines(block)


def in_sentences() -> Iterator[Said]:
    """Commands of ours that stand in a sentence."""
    for page in pages():
        text = (ROOT / page).read_text("utf-8")
        text = _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
        for found in _INLINE.finditer(text):
            where = text.count("\n", 0, found.start()) + 1
            yield Said(str(page), where, " ".join(found[1].split()))


def commands(text: str) -> Iterator[list[str]]:
    """Program and arguments of each command in a line of a shell."""
    line: list[str] = []
    for word in [*shlex.split(text, comments=True), ";"]:
        if _SEPARATORS.fullmatch(word):
            while line and re.match(r"\w+=", line[0]):
                line.pop(0)
            if line:
                yield line
            line = []
        elif word.endswith(";"):
            line.append(word[:-1])
        else:
            line.append(word)


def ours(text: str) -> Iterator[list[str]]:
    """The arguments of each `auditstream` in a line of a shell."""
    for program, *arguments in commands(text):
        if program.rpartition("/")[2] == "auditstream":
            yield arguments


SERVED: Final = {
    ("topics", "plan"), ("topics", "apply"), ("registry", "apply"), ("registry", "plan"),
    ("opensearch", "plan"), ("opensearch", "apply"), ("dashboards", "apply"),
    ("worker",), ("collect",), ("reconcile",), ("lab",),
}  # fmt: skip
"""Commands that ask a server, or start one."""


def served(words: list[str]) -> tuple[str, ...]:
    """The command, where it needs a server, as `run` does for a topic; else empty."""
    if "--acls" in words or "--roles" in words:
        return ()
    if any("=kafka:" in word for word in words):
        return ("run", "--input")
    return next((tuple(words[:n]) for n in (1, 2) if tuple(words[:n]) in SERVED), ())
