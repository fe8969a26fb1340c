"""docker-compose.yml and what it mounts, read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.test_house import ROOT

COMPOSE: Final = ROOT / "docker-compose.yml"
IMAGES: Final = ROOT / "deploy" / "images"
OURS: Final = "auditstream:local"
DIGEST: Final = f"@sha256:{'0' * 64}"

Service = dict[str, Any]


@cache
def stack() -> dict[str, Any]:
    """The whole file, with what stands for what filled in."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def services() -> dict[str, Service]:
    found: dict[str, Service] = stack()["services"]
    return found


def lasting() -> dict[str, Service]:
    """Those that go on until they are stopped."""
    return {name: said for name, said in services().items() if said["restart"] != "no"}


def images() -> dict[str, str]:
    """By variable, which image it is to hold."""
    lines = (line.split() for line in IMAGES.read_text().splitlines())
    return {line[0]: line[1] for line in lines if line and not line[0].startswith("#")}


def environment() -> dict[str, str]:
    """What `deploy/pin` writes, with digests of nothing."""
    return {variable: image + DIGEST for variable, image in images().items()}


def mounts(said: Service) -> Iterator[tuple[str, str, bool]]:
    """What a service mounts: volume or path, where, and whether it may not write there."""
    for text in said.get("volumes", ()):
        source, target, *mode = text.split(":")
        yield source, target, mode == ["ro"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `auditstream` command line, by service."""
    for name, said in services().items():
        if said["image"] != OURS:
            continue
        if "entrypoint" not in said:
            yield name, list(map(str, said["command"]))
        elif said["entrypoint"][:2] == ["sh", "-c"]:
            script = said["entrypoint"][2]
            (start,) = (part for part in script.split(";") if " auditstream " in part)
            words = shlex.split(start.replace("$$", "$"))
            rest = words[words.index("auditstream") + 1 :]
            verb, *further = said["command"]
            given = [verb if word == "$verb" else word for word in rest if word != "$@"]
            yield name, [*given, *further]


def mounted(name: str, target: str) -> Path:
    """The file of the repository that a service sees there."""
    (found,) = (source for source, where, _ in mounts(services()[name]) if where == target)
    return ROOT / found
