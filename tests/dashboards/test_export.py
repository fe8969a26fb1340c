"""`auditstream dashboards` as far as it needs no server: what it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from dashboards.importing import place
from dashboards.patterns import EVENTS, RETENTION_LEFT
from dashboards.saved_objects import ndjson
from pipeline.config import load
from pipeline.errors import ConfigError
from pipeline.storage import Dashboards
from pipeline.streaming import Tls
from tests.commands import exit_status
from tests.dashboards.read import objects


def test_it_is_printed_or_written(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert exit_status("dashboards", "export") == 0
    assert capfdbinary.readouterr().out == ndjson()
    out = tmp_path / "auditstream.ndjson"
    out.write_text("of an earlier time")
    assert exit_status("dashboards", "export", "--out", out) == 0
    assert out.read_bytes() == ndjson()
    count = len(objects(ndjson()))
    assert f"{count} saved objects in {out}".encode() in capfdbinary.readouterr().out


def test_days_of_retention_are_those_of_the_configuration(tmp_path: Path) -> None:
    config, out = tmp_path / "auditstream.toml", tmp_path / "o.ndjson"
    config.write_text("[[retention]]\nname = 'short'\ndays = 31\noutcomes = ['success']\n")
    assert exit_status("dashboards", "export", "--config", config, "--out", out) == 0
    said = objects(out.read_bytes())["index-pattern", EVENTS.name]["attributes"]["fields"]
    (script,) = [one["script"] for one in orjson.loads(said) if one["name"] == RETENTION_LEFT]
    assert "['short': 31L, 'standard': 400L].getOrDefault(" in script
    assert ", 400L)" in script


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("export", "--out", "o.json"), "files whose name ends in .ndjson alone"),
        (("apply", "--wait", "-1"), "'-1' is no number of seconds up to an hour"),
        (("apply", "--wait", "3601"), "'3601' is no number"),
    ],
)
def test_arguments_that_cannot_be_meant(
    given: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("dashboards", *given) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert exit_status("dashboards", "export", "--out", tmp_path / "no" / "o.ndjson") == 1
    assert "o.ndjson: No such file" in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["export", "apply"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("dashboards", verb, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: auditstream dashboards {verb}")


HTTP = "http://127.0.0.1:5601"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "dashboards.url is empty"),
        ({"url": "dashboards.example.com:5601"}, "is no address of http or https"),
        ({"url": "ftp://dashboards.example.com"}, "is no address of http or https"),
        ({"url": "https://"}, "is no address of http or https"),
        ({"url": "https://[::1"}, "is no address of http or https"),
        ({"url": "https://dashboards.example.com:0"}, "is no address of http or https"),
        ({"url": f"https://{'a' * 70}.example.com"}, "is no address of http or https"),
        ({"url": f"{HTTP}/?tenant=x"}, "is no address of http or https"),
        ({"url": f"{HTTP}/a b"}, "is no address of http or https"),
        ({"url": "https://alice:secret@dashboards.example.com"}, "holds a login"),
        ({"url": HTTP, "username": "alice"}, "go together"),
        ({"url": HTTP, "tls": Tls(ca_file="ca.pem")}, "is not https"),
        ({"url": HTTP, "tenant": "two\nlines"}, "cannot be a header"),
        ({"url": "https://127.0.0.1", "tls": Tls(ca_file="no.pem")}, "holds no PEM to read"),
    ],
)
def test_settings_that_contradict_each_other(said: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=r"dashboards|tls") as found:
        place(Dashboards.model_validate(said))
    assert told in str(found.value)
    assert "secret" not in str(found.value)


def test_a_password_goes_nowhere_readably(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "of-the-test")
    login = {"username": "alice", "password_env": "PASSWORD"}
    with pytest.raises(ConfigError, match="is not https: the password"):
        place(Dashboards.model_validate({"url": "http://dashboards.example.com", **login}))
    assert "Authorization" in place(Dashboards.model_validate({"url": HTTP, **login})).headers


def test_the_section_is_configuration(tmp_path: Path) -> None:
    config = tmp_path / "auditstream.toml"
    config.write_text(f"[dashboards]\nurl = '{HTTP}/base/'\ntenant = 'global'\n")
    where = place(load(config).dashboards)
    assert str(where) == f"{HTTP}/base"
    assert where.headers["securitytenant"] == "global"
