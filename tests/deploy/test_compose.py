"""docker-compose.yml: what it may not hold, what it must hold, and that all its parts fit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from pipeline.cli.main import parser
from pipeline.config import load
from tests.deploy.stack import (
    COMPOSE,
    OURS,
    commands,
    environment,
    images,
    lasting,
    mounted,
    mounts,
    services,
    stack,
)
from tests.test_house import ROOT, none_of, tree

ROOT_FOR = {"setup": "it gives volumes to the users of services, and has no network"}
WRITABLE_FOR = {
    "opensearch": "it writes its keystore beside its configuration",
    "dashboards": "its start script writes beside its configuration",
}
SHARED = {
    "identity-reconcile": {"reconcile", "ask", "panels"},
    "identity-opensearch-admin": {"indices", "logins"},
    "identity-topics": {"topics", "schemas"},
}
"""Identities of more than one service, none of which goes on for long."""


def test_images_are_of_digests_alone() -> None:
    said = {name: service["image"] for name, service in services().items()}
    asked = [re.fullmatch(r"\$\{([A-Z_]+):\?[^}]+\}", image) for image in said.values()]
    none_of(
        [
            f"{name}: {image}"
            for (name, image), match in zip(said.items(), asked, strict=True)
            if image != OURS and (match is None or match[1] not in images())
        ],
        "images that no digest is asked for, as ${NAME:?…} with NAME in deploy/images:",
    )
    used = {match[1] for match in asked if match} | {"PYTHON_IMAGE"}
    assert used == set(images())
    none_of(
        [
            image
            for image in images().values()
            if not re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", image)
        ],
        "images whose tag says no version:",
    )


SECRET = re.compile(
    r"""(?i)(?:password|passphrase|secret|token|credentials?)["']?\s*[:=]\s*["']?[\w$/+-]"""
)
SETTINGS = (".yml", ".yaml", ".toml", ".properties", ".conf")


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("OPENSEARCH_INITIAL_ADMIN_PASSWORD: Example1", True),
        ('password = "example"', True),
        ("      password: ${PASSWORD}", True),
        ('"secret": "example"', True),
        ('password_file = "/run/people/analyst"', False),
        ("      password:", False),
        ("# There is no password here.", False),
    ],
)
def test_a_secret_is_told_from_where_it_is(line: str, is_one: bool) -> None:
    assert bool(SECRET.search(line)) is is_one


def test_there_is_no_password() -> None:
    files = [p for p in tree() if p.parts[0] == "deploy" and p.suffix in SETTINGS]
    files.append(COMPOSE.relative_to(ROOT))
    none_of(
        [
            f"{path}:{number}: {line.strip()}"
            for path in files
            for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
            if SECRET.search(line)
        ],
        "what looks like a secret in a file:",
    )


@pytest.mark.parametrize("name", list(services()))
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    said = services()[name]
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert not said.keys() & {"privileged", "pid", "ipc", "userns_mode", "devices"}
    assert said.get("cap_add", []) == (["CHOWN"] if name in ROOT_FOR else [])
    user = str(said["user"]).split(":")[0]
    assert user.isdigit()
    assert (user != "0") is (name not in ROOT_FOR)
    assert said["read_only"] is (name not in WRITABLE_FOR)
    assert said["mem_limit"]
    assert said["pids_limit"]
    assert said["logging"]["options"]["max-size"]
    assert not any(source == "/var/run/docker.sock" for source, _, _ in mounts(said))


def test_what_goes_on_has_a_health_check_and_what_ends_has_none() -> None:
    for name, said in services().items():
        assert ("healthcheck" in said) is (name in lasting()), name
    for name, said in lasting().items():
        check = said["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys(), name


def test_networks_are_closed_but_to_this_host() -> None:
    networks = stack()["networks"]
    assert {name for name, said in networks.items() if not said.get("internal")} == {"front"}
    for name, said in services().items():
        if said.get("network_mode") == "none":
            continue
        assert set(said["networks"]) <= set(networks), name
        assert ("front" in said["networks"]) is ("ports" in said), name
        assert all(port.startswith("127.0.0.1:") for port in said.get("ports", ())), name


def test_whoever_waits_waits_for_what_there_is_to_wait_for() -> None:
    for name, said in services().items():
        for other, how in said.get("depends_on", {}).items():
            wanted = "service_healthy" if other in lasting() else "service_completed_successfully"
            assert how["condition"] == wanted, f"{name} waits for {other}"


def test_files_that_are_mounted_exist_and_cannot_be_written() -> None:
    found = [
        (name, source, read_only)
        for name, said in services().items()
        for source, _, read_only in mounts(said)
        if source.startswith(".")
    ]
    assert found
    none_of([f"{n}: {s}" for n, s, _ in found if not (ROOT / s).exists()], "not there:")
    none_of([f"{n}: {s}" for n, s, read_only in found if not read_only], "can be written:")


def test_every_volume_is_made_by_the_set_up_and_used() -> None:
    declared = set(stack()["volumes"])
    made = {source: target for source, target, _ in mounts(services()["setup"])}
    assert set(made) == declared
    script = (ROOT / "deploy" / "setup" / "identities.sh").read_text()
    names = {target.removeprefix("/volumes/") for target in made.values()}
    none_of(sorted(name for name in names if name not in script), "not made by identities.sh:")
    used = {
        source
        for name, said in services().items()
        for source, _, _ in mounts(said)
        if name != "setup" and not source.startswith(".")
    }
    assert used == declared - {"authority"}


def test_an_identity_is_one_services_own() -> None:
    owners: dict[str, set[str]] = {}
    for name, said in services().items():
        mine = [(s, r) for s, _, r in mounts(said) if s.startswith("identity-") and name != "setup"]
        assert len(mine) <= 1, name
        assert all(read_only for _, read_only in mine), name
        for source, _ in mine:
            owners.setdefault(source, set()).add(name)
    shared = {source: names for source, names in owners.items() if len(names) > 1}
    assert shared == SHARED
    assert not set().union(*shared.values()) & set(lasting())


@pytest.mark.parametrize(("name", "words"), list(commands()))
def test_our_own_parser_takes_every_command(name: str, words: list[str]) -> None:
    arguments = parser().parse_args(words)
    if (given := getattr(arguments, "config", None)) is not None:
        assert load(mounted(name, str(given))).kafka.brokers == "kafka:9092"


def test_what_is_asked_is_handed_on_as_it_was_written(tmp_path: Path) -> None:
    said = services()["ask"]
    program = tmp_path / "auditstream"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    script = [word.replace("$$", "$") for word in said["entrypoint"]]
    asked = ["timeline", "--actor", "User:two words", "--since", "2026-11-20"]
    done = subprocess.run(
        [*script, *asked], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    words = done.stdout.splitlines()
    assert words[0] == "timeline"
    assert words[-4:] == asked[1:]
    assert parser().parse_args(words).store == "https://opensearch:9200"


def test_workers_of_all_roles_run_and_are_asked() -> None:
    roles = {arguments.role: name for name, arguments in parsed().items() if "role" in arguments}
    assert set(roles) == {"ingest", "detect", "index"}
    asked = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    (job,) = asked["scrape_configs"]
    targets = job["static_configs"][0]["targets"]
    assert sorted(targets) == sorted(f"{name}:9464" for name in roles.values())
    for name in roles.values():
        assert "watch" in services()[name]["networks"]
        assert parsed()[name].metrics == "0.0.0.0:9464"


def parsed() -> dict[str, Namespace]:
    return {name: parser().parse_args(words) for name, words in commands()}


def test_our_configuration_names_what_there_is() -> None:
    config = load(ROOT / "deploy" / "auditstream.toml")
    (subnet,) = stack()["networks"]["stream"]["ipam"]["config"]
    assert {network for own in config.own for network in own.networks} == {subnet["subnet"]}
    assert {own.role for own in config.own} == {
        "collect", "ingest", "detect", "index", "topics", "reconcile",
    }  # fmt: skip
    assert config.opensearch.url == "https://opensearch:9200"
    assert config.kafka.registry.url.startswith("https://registry:8443/")
    assert config.dashboards.url == "https://dashboards:5601"
    logged = [*load(ROOT / "deploy" / "collect.toml").inputs]
    assert [given.path for given in logged] == ["/var/log/kafka"]
    assert {given.cluster for given in logged} == {own.cluster for own in config.own}
    assert {entry.cluster for entry in config.kafka.raw} == {own.cluster for own in config.own}
    # Nobody but role `ingest` is given the key of redaction.
    assert not load(ROOT / "deploy" / "collect.toml").redaction.key_file
    holders = re.findall(r"^secret (\S+) .*redaction\.key", identities(), re.MULTILINE)
    assert holders == ["ingest"]


def identities() -> str:
    return (ROOT / "deploy" / "setup" / "identities.sh").read_text()


def test_opensearch_knows_services_by_the_names_on_their_certificates() -> None:
    mapping = yaml.safe_load(
        (ROOT / "deploy" / "opensearch" / "security" / "roles_mapping.yml").read_text()
    )
    users = {user for name, said in mapping.items() if name != "_meta" for user in said["users"]}
    people = set(re.findall(r"^secret \S+ \S+ ([a-z-]+) ", identities(), re.MULTILINE))
    roles = ("topics", "collect", "ingest", "detect", "index", "reconcile")
    named = set(re.findall(r"^identity \S+ \S+ ([a-z-]+)", identities(), re.MULTILINE))
    assert users <= named | people | {f"auditstream-{role}" for role in roles}
    text = (ROOT / "deploy" / "opensearch" / "opensearch.yml").read_text()
    assert "CN=opensearch-admin" in text
    assert "opensearch-admin" in named


# What others say of it.


def test_yamllint_has_nothing_to_say() -> None:
    rules = "{extends: default, rules: {line-length: {max: 140}, document-start: disable}}"
    files = [
        COMPOSE,
        *(ROOT / p for p in tree() if p.parts[0] == "deploy" and p.suffix in (".yml", ".yaml")),
    ]
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", rules, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def compose() -> list[str]:
    """The command of Docker's compose, or nothing."""
    docker = shutil.which("docker")
    if docker is None:
        return []
    done = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    return [docker, "compose"] if done.returncode == 0 else []


@pytest.mark.skipif(not compose(), reason="no Docker with compose here")
def test_docker_compose_takes_it_with_images_and_not_without() -> None:
    # No .env of whoever runs the tests.
    command = [*compose(), "--file", str(COMPOSE), "--env-file", os.devnull, "--profile", "*"]
    command += ["config", "--quiet"]
    bare = {name: value for name, value in os.environ.items() if name not in images()}
    for variables, status in ((bare | environment(), 0), (bare, 1)):
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
    assert "deploy/pin" in done.stderr
