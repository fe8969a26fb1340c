"""OCSF's own compiled schema and validator, where they lie beside this repository."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VALIDATOR = Path(__file__).parents[3] / "shared" / "ocsf" / "validate.py"

needs_ocsf = pytest.mark.skipif(
    not VALIDATOR.exists(), reason="OCSF's schema is not there: ../shared/ocsf/validate.py"
)


@cache
def validator() -> ModuleType:
    """The validator, as a module. Its `problems(event)` lists (path, what is wrong)."""
    spec = importlib.util.spec_from_file_location("ocsf_validate", VALIDATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def class_of(uid: int) -> dict[str, Any]:
    """OCSF's compiled definition of a class."""
    found: dict[str, Any] = validator().CLASSES[uid]
    return found


def attribute(uid: int, path: str) -> dict[str, Any] | None:
    """OCSF's definition of an attribute of a class, by its path in dots; None: there is none."""
    attributes, found = class_of(uid)["attributes"], None
    for name in path.split("."):
        found = attributes.get(name)
        if found is None:
            return None
        kind = found.get("object_type") or found["type"]
        attributes = validator().SCHEMA["objects"].get(kind, {}).get("attributes", {})
    return found
