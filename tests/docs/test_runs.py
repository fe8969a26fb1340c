"""What the documentation says to type and what needs neither a server nor Docker is typed: line by
line, a page at a time, in a folder that holds what the page says is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import exit_status
from tests.docs.pages import DOCKER, Said, blocks, commands, lines, ours, pages, served, shells
from tests.test_house import ROOT

INCIDENT = ROOT / "pipeline" / "incident"
LOGS = "/var/log/kafka"
HOLD = "3f2a"
"""A hold of the page's; which one there is, `hold add` says before."""


def typed(page: Path) -> list[Said]:
    """The lines of a page that can be typed here."""
    found = []
    for block in shells(page):
        if block.text.startswith(DOCKER):
            continue
        for said in lines(block):
            programs = {Path(program).name for program, *_ in commands(said.text)}
            if programs <= {"auditstream", "sqlite3"} and not any(map(served, ours(said.text))):
                found.append(said)
    return found


PAGES = [page for page in pages() if typed(page)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is found in the bundled incident."""
    path = tmp_path_factory.mktemp("incident") / "auditstream.db"
    assert exit_status("run", "--store", path) == 0
    return path


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_line_that_needs_no_server_does_what_it_is_for(
    page: Path, store: Path, tmp_path: Path
) -> None:
    prepare(page, store, tmp_path)
    environment = os.environ | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
    hold = ""
    for said in typed(page):
        if "sqlite3" in said.text and shutil.which("sqlite3") is None:
            shutil.copy(tmp_path / "auditstream.db", tmp_path / "copy.db")
            continue
        text = said.text.replace(LOGS, str(INCIDENT))
        if HOLD in text:
            assert hold
            text = text.replace(HOLD, hold)
        done = subprocess.run(
            ["sh", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        where = f"{said.page}:{said.line}: {text}"
        assert done.returncode == 0, f"{where}: {done.stdout[-500:]}{done.stderr}"
        assert "Traceback" not in done.stderr, where
        if made := re.match(r"Hold (\w{4})", done.stdout):
            hold = made[1]


def prepare(page: Path, store: Path, folder: Path) -> None:
    """What a reader of the page has: a store, a configuration, and records to be read."""
    (folder / ".venv").symlink_to(sys.prefix)
    if page.name != "README.md":  # It makes its own.
        shutil.copy(store, folder)
    said = "\n".join(block.text for block in blocks(page, "toml"))
    (folder / "auditstream.toml").write_text(said, "utf-8")
    for block in list(blocks(page, "json"))[:1]:
        (folder / "tickets.jsonl").write_text(block.text, "utf-8")


def test_these_are_the_lines() -> None:
    assert {str(page) for page in PAGES} >= {
        "README.md", "docs/dashboards.md", "docs/deployment.md", "docs/retention.md",
        "docs/shippers.md", "docs/support-sessions.md",
    }  # fmt: skip
    assert len([said for page in PAGES for said in typed(page)]) >= 15
