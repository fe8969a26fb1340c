"""Which store is meant, and as whom it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.stores import CA, PASSWORD, USERNAME, file_of, is_address, login, reader_of
from pipeline.config import Config
from pipeline.errors import ArgumentError, ConfigError
from pipeline.storage import Storage
from pipeline.streaming import Tls

URL = "https://store.example.com:9200"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who reads, by the environment."""
    for name, value in ((USERNAME, "ann"), (PASSWORD, "hunter2"), (CA, "/ca.pem")):
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("store", [URL, "http://127.0.0.1:9200", "HTTPS://store.example.com"])
def test_an_address_is_opensearch_and_is_not_written_as_a_file(store: str) -> None:
    assert is_address(store)
    with pytest.raises(ArgumentError, match="name a file with --store"):
        file_of(store)


@pytest.mark.parametrize("store", ["auditstream.db", "./https:/x", "/var/lib/a.db", ""])
def test_anything_else_is_a_file(store: str) -> None:
    assert not is_address(store)
    assert file_of(store) == Path(store)


def test_the_environment_says_who_reads(environment: None) -> None:
    said = login(URL, Config())
    assert (said.url, said.username, said.password_env) == (URL, "ann", PASSWORD)
    assert said.tls.ca_file == "/ca.pem"


def test_the_configuration_goes_before_the_environment(environment: None) -> None:
    own = Storage(username="eve", password_file="/secret", tls=Tls(ca_file="/own.pem"))
    said = login(URL, Config(opensearch=own))
    assert (said.username, said.password_file, said.password_env) == ("eve", "/secret", "")
    assert said.tls.ca_file == "/own.pem"
    by_certificate = Storage(tls=Tls(certificate_file="/c.pem", key_file="/k.pem"))
    assert login(URL, Config(opensearch=by_certificate)).username == ""


def test_nobody_need_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(USERNAME, raising=False)
    assert login(URL, Config()) == Storage(url=URL)


def test_a_password_does_not_travel_readably(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CA)
    with pytest.raises(ConfigError, match="the password would be readable"):
        reader_of("http://store.example.com:9200", Config())
