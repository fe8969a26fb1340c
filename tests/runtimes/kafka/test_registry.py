"""What a registry's configuration may say; everything else is tried against a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.runtimes.kafka.registry import Registry
from pipeline.runtimes.kafka.wires import TOPICS, registered, subject, wires
from pipeline.streaming import Registry as Section
from pipeline.streaming import Streaming
from schemas.avro import NAMES, schema
from schemas.types import Clock, columns
from schemas.wire import Undecodable, mark, parsed

CLOCK = Clock("audit.raw.auto", 0, "prod", 1)
LOGIN = {"username": "ingest", "password_env": "REGISTRY_PASSWORD"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"url": "registry.example.com"}, "no address of http or https"),
        ({"url": "file:///etc/passwd"}, "no address of http or https"),
        ({"url": "https://"}, "no address of http or https"),
        ({"url": "https://me:secret@registry.example.com"}, "holds a login"),
        ({"url": "http://registry.example.com", "tls": {"enabled": True}}, "is not https"),
        ({"url": "https://registry.example.com", "username": "ingest"}, "go together"),
        ({"url": "https://registry.example.com", "password_env": "REGISTRY_PASSWORD"}, "together"),
        ({"url": "http://registry.example.com", **LOGIN}, "would be readable"),
        ({"url": "https://registry.example.com", "password_file": "missing"}, "cannot be read"),
        (
            {"url": "https://registry.example.com", "tls": {"ca_file": "missing"}},
            "ca_file missing holds no PEM",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_said(
    said: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "swordfish")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=why) as error:
        Registry(Section(**said))
    assert "swordfish" not in str(error.value)
    assert ":secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081", "http://[::1]:8081/x", "http://localhost"]
)
def test_on_this_machine_a_login_needs_no_tls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "swordfish")
    assert "swordfish" not in repr(Registry(Section(url=url, **LOGIN)))


def test_without_a_registry_rows_carry_fingerprints() -> None:
    found = wires(Streaming())
    value = found.encoder("clock", "clocks")(CLOCK)
    assert value == found.encoder("clock")(CLOCK)
    assert value.startswith(mark(schema("clock").avro))
    assert found.decoder("clock")(value) == columns(CLOCK)
    with pytest.raises(Undecodable, match="no registry is configured"):
        found.decoder("clock")(b"\0\0\0\0\7" + value[10:])


def test_subjects_are_called_after_their_topics() -> None:
    assert subject(Streaming(prefix="a-b"), "dead-letters") == "a-b.dead-letters-value"
    assert {*TOPICS.values(), "state"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_registered_is_the_schema_without_words(name: str) -> None:
    said = parsed(registered(name))
    assert mark(said) == mark(schema(name).avro)
    assert not {"doc", "path", "index", "words", "beside"} & set(
        _keys(json.loads(registered(name)))
    )


def _keys(said: Any) -> list[str]:
    if isinstance(said, dict):
        return [*said, *(key for value in said.values() for key in _keys(value))]
    return [key for one in said for key in _keys(one)] if isinstance(said, list) else []
