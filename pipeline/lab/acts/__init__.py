"""What the lab plays before the incident: each module's `act`, found by folder, in order of name.

A detector for which the incident holds nothing brings a module here, with a function ``act(kafka)``
that does on the broker what it is to find. It raises `RuntimeError` where the broker lets it down.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

from pipeline.lab.kafka import Kafka

Act = Callable[[Kafka], None]


def acts() -> Iterator[Act]:
    """Every act there is."""
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        yield importlib.import_module(f"{__name__}.{found.name}").act
