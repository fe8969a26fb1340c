"""Frozen schemas: what one release wrote, every other reads.

`schemas/releases/VERSION/` holds the schemas as VERSION ships them: copied anew with every change
until it has shipped, never after. Then a change needs a new version in `pyproject.toml` and a new
folder, and a new column a `default`.
"""

import json
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many

from schemas.avro import NAMES, schema

ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "schemas" / "releases"
FROZEN = sorted(RELEASES.glob("*/*.avsc"))


def parsed(path: Path) -> Any:
    """A frozen schema as fastavro takes it."""
    return fastavro.parse_schema(json.loads(path.read_text("utf-8")))


def carried(writer: Any, reader: Any, row: Any) -> Any:
    """A row as `reader` understands what `writer` wrote."""
    wire = BytesIO()
    fastavro.schemaless_writer(wire, writer, row)
    wire.seek(0)
    return fastavro.schemaless_reader(wire, writer, reader)


def test_there_are_frozen_schemas() -> None:
    assert {path.stem for path in FROZEN} == set(NAMES)


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_every_release_reads_every_other(path: Path, direction: str) -> None:
    frozen, today = parsed(path), schema(path.stem).avro
    writer, reader = (frozen, today) if direction == "upgrade" else (today, frozen)
    shared = {f["name"] for f in frozen["fields"]} & {f["name"] for f in today["fields"]}
    for row in generate_many(writer, 5):
        read = carried(writer, reader, row)
        assert {name: read[name] for name in shared} == {name: row[name] for name in shared}


def test_schemas_do_not_change_within_a_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version = RELEASES / project["version"]
    changed = [
        path.name
        for path in FROZEN
        if path.parent == version
        and path.read_bytes() != (ROOT / "schemas" / path.name).read_bytes()
    ]
    assert not changed, f"not as in schemas/releases/{version.name}: see the head of this file"
