"""What there is: sources and detectors, found by folder and by entry point. No list to edit."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

import detectors as _detectors
import pipeline.sources as _sources
from detectors.contract import Detector, EstateDetector
from pipeline.batch import Source
from pipeline.errors import ConfigError


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def _third_party(group: str) -> Iterator[tuple[str, object]]:
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        try:
            yield point.name, point.load()
        except Exception as error:
            raise ConfigError(
                f"the installed plugin {point.value} ({group}) cannot be loaded: {error}; "
                "repair or uninstall it"
            ) from error


@cache
def sources() -> dict[str, Source]:
    """Every source by name: those of :mod:`pipeline.sources`, then entry points.

    Raises:
        ConfigError: an entry point cannot be loaded, is no source, or takes a name that exists.
    """
    found = {
        module.SOURCE.name: module.SOURCE
        for module in _modules(_sources)
        if hasattr(module, "SOURCE")
    }
    for name, thing in _third_party("auditstream.sources"):
        if not isinstance(thing, Source) or thing.name in found:
            raise ConfigError(f"entry point {name} of auditstream.sources is no new SOURCE")
        found[thing.name] = thing
    return found


@cache
def detectors() -> dict[str, Detector | EstateDetector]:
    """Every detector of either shape by name: those of :mod:`detectors`, then entry points.

    Raises:
        ConfigError: an entry point cannot be loaded, is no detector, or takes a name that exists.
    """
    found = {
        module.DETECTOR.name: module.DETECTOR
        for module in _modules(_detectors)
        if hasattr(module, "DETECTOR")
    }
    for name, thing in _third_party("auditstream.detectors"):
        if not isinstance(thing, Detector | EstateDetector) or thing.name in found:
            raise ConfigError(f"entry point {name} of auditstream.detectors is no new DETECTOR")
        found[thing.name] = thing
    return found
