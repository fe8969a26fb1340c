"""Which module knows a command: each is loaded without the others."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

import pipeline.cli
from pipeline.cli.main import _GROUPS, groups, main, parser

COMMANDS = [name for names in _GROUPS.values() for name in names]
MODULES = [path.stem for path in Path(next(iter(pipeline.cli.__path__))).glob("*.py")]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_adds_what_is_said_of_it(name: str) -> None:
    add = getattr(import_module(f"pipeline.cli.{name}"), "add", None)
    commands = argparse.ArgumentParser().add_subparsers()
    if add is not None:
        add(commands)
    assert tuple(commands.choices) == _GROUPS.get(name, ())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(groups([name])) == 1
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"usage: auditstream {name}")


@pytest.mark.parametrize("argv", [[], ["--help"], ["evnts"], ["--version"]])
def test_where_no_command_is_named_all_are_known(argv: list[str]) -> None:
    assert len(groups(argv)) == len(_GROUPS)
    assert all(f"\n    {name}" in parser(argv).format_help() for name in COMMANDS)
