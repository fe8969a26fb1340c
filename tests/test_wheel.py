"""The wheel, as it is built: what is not Python is in it too."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.test_house import ROOT, none_of, tree

PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["packages"]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What is in it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


def test_every_file_of_the_packages_is_in_it(names: set[str]) -> None:
    missing = [str(p) for p in tree() if p.parts[0] in PACKAGES and p.as_posix() not in names]
    none_of(missing, "files that the wheel lacks:")


@pytest.mark.parametrize(
    "path",
    [
        # What `auditstream lab` starts its servers from, and whom its estate knows.
        "pipeline/lab/jars.lock",
        "pipeline/lab/opensearch.lock",
        "pipeline/broker_logging/log4j2.yaml",
        "pipeline/incident/auditstream.toml",
    ],
)
def test_it_holds_what_the_lab_needs(names: set[str], path: str) -> None:
    assert path in names
    assert Path(ROOT / path).is_file()
