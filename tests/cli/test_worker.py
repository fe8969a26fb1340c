"""`auditstream worker`: what it refuses before it asks any broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import auditstream, exit_status


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("9464", "--metrics '9464' is nowhere to listen; write HOST:PORT"),
        (":9464", "is nowhere to listen"),
        ("127.0.0.1:65536", "is nowhere to listen"),
        ("127.0.0.1:-1", "is nowhere to listen"),
        ("2001:db8::1:9464", "an IPv6 address stands in brackets, as [::1]:9464"),
        ("[192.0.2.1]:9464", "an IPv6 address stands in brackets"),
    ],
)
def test_where_nobody_can_listen(
    address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("worker", "--metrics", address) == 2
    assert said in capsys.readouterr().err


def test_a_form_of_logs_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("worker", "--log", "xml") == 2
    assert "invalid choice: 'xml'" in capsys.readouterr().err


def test_what_keeps_it_from_starting_is_in_its_log(tmp_path: Path) -> None:
    config = tmp_path / "auditstream.toml"
    config.write_text('[kafka.sasl]\nmechanism = "PLAIN"\nusername = "u"\n', "utf-8")
    done = auditstream("worker", "--config", config, "--log", "json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    said = json.loads(line)
    assert said["level"] == "CRITICAL"
    assert said["message"].startswith("The worker ends: ")
    plain = auditstream("worker", "--config", config, cwd=tmp_path)
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr == f"auditstream: {said['message'].removeprefix('The worker ends: ')}\n"
