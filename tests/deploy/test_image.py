"""The image: of which base, with what in it, as whom; and how its base is pinned."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.stack import IMAGES, images
from tests.test_house import ROOT

DOCKERFILE = ROOT / "Dockerfile"
DIGEST = f"sha256:{'a1' * 32}"


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, each in one line."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def said(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def test_its_base_is_given_and_has_no_default() -> None:
    assert said("ARG") == ["PYTHON_IMAGE"]
    assert {rest.split()[0] for rest in said("FROM")} == {"${PYTHON_IMAGE}"}
    assert "PYTHON_IMAGE" in images()


def test_it_installs_what_is_locked_and_builds_nothing() -> None:
    installs = [part for run in said("RUN") for part in run.split("&&") if " install " in part]
    from_lock = [part for part in installs if "run.lock" in part]
    assert len(from_lock) == 2
    assert all("--require-hashes" in p and "--only-binary :all:" in p for p in from_lock)
    (own,) = [part for part in installs if part not in from_lock]
    assert "--no-deps" in own
    assert not re.search(r"apt-get|apk |curl|wget|gcc", " ".join(said("RUN")))


def test_what_runs_is_nobody_with_nothing_to_build_with() -> None:
    final = instructions()[max(n for n, i in enumerate(instructions()) if i[0] == "FROM") :]
    assert [rest for name, rest in final if name == "USER"] == ["10001:10001"]
    copied = [rest for name, rest in final if name == "COPY"]
    assert copied == [
        "--from=build /opt/auditstream /opt/auditstream",
        "deploy/setup /opt/auditstream/setup",
    ]
    assert any("pip uninstall --yes pip" in rest for name, rest in final if name == "RUN")


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for rest in said("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint here")
def test_hadolint_has_nothing_to_say() -> None:
    command = ["hadolint", str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# deploy/pin.


class Pinning:
    """A copy of deploy/pin in a folder, with a `docker` that says what it is told to."""

    def __init__(self, folder: Path, answer: str) -> None:
        self.folder, self.env = folder, folder / ".env"
        (folder / "deploy").mkdir()
        for path in (IMAGES, IMAGES.with_name("pin")):
            shutil.copy(path, folder / "deploy")
        (folder / "bin").mkdir()
        docker = folder / "bin" / "docker"
        docker.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {folder}/asked\n{answer}\n')
        docker.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        command = [str(self.folder / "deploy" / "pin"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_image_is_pinned_and_what_else_was_said_stays(tmp_path: Path) -> None:
    pinning = Pinning(tmp_path, f"echo {DIGEST}")
    pinning.env.write_text("COMPOSE_PROJECT_NAME=audit\nKAFKA_IMAGE=old\n")
    assert pinning.run("--check").returncode == 1
    done = pinning.run()
    assert done.returncode == 0, done.stderr
    expected = [f"{variable}={image}@{DIGEST}" for variable, image in images().items()]
    assert pinning.env.read_text().splitlines() == [*expected, "COMPOSE_PROJECT_NAME=audit"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len([line for line in asked if "inspect" in line]) == len(expected)
    assert pinning.run("--check").returncode == 0
    assert pinning.run().returncode == 0
    assert pinning.env.read_text().splitlines() == [*expected, "COMPOSE_PROJECT_NAME=audit"]


@pytest.mark.parametrize("answer", ["exit 1", "echo nothing", "true"])
def test_a_registry_that_says_no_digest_changes_nothing(tmp_path: Path, answer: str) -> None:
    pinning = Pinning(tmp_path, f'[ "$2" = version ] || {answer}')
    pinning.env.write_text("KAFKA_IMAGE=old\n")
    done = pinning.run()
    assert done.returncode == 1
    assert done.stderr.startswith("deploy/pin: the registry ")
    assert pinning.env.read_text() == "KAFKA_IMAGE=old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "asked", "bin", "deploy"]


def test_a_docker_without_buildx_is_told_from_a_registry(tmp_path: Path) -> None:
    done = Pinning(tmp_path, "exit 1").run()
    assert done.returncode == 1
    assert "docker-buildx-plugin" in done.stderr
    assert not (tmp_path / ".env").exists()


def test_pin_says_what_it_takes(tmp_path: Path) -> None:
    done = Pinning(tmp_path, "exit 1").run("--force")
    assert done.returncode == 1
    assert "there is --check" in done.stderr
