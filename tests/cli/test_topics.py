"""`auditstream topics` as far as it needs no broker: what it prints of rights, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import exit_status


def test_rights_are_printed_as_a_table_and_as_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "auditstream.toml"
    file.write_text(
        "[kafka]\nprefix = 'p'\ngroup = 'g'\n"
        "[[kafka.raw]]\ntopic = 'connect-logs-*'\n[[kafka.raw]]\ntopic = 'one'\n"
    )
    given = ("--config", file, "--principal", "ingest=User:CN=it's me")
    assert exit_status("topics", "plan", "--acls", "table", *given) == 0
    told = capsys.readouterr().out
    assert "connect-logs-*" in told
    assert "User:auditstream-detect" in told
    assert exit_status("topics", "plan", "--acls", "commands", *given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "kafka-acls --bootstrap-server 127.0.0.1:9092 --command-config admin.properties --add "
        "--allow-principal 'User:CN=it'\"'\"'s me' --operation Read --group g-ingest "
        "--resource-pattern-type literal"
    ) in lines
    assert any("--topic connect-logs- --resource-pattern-type prefixed" in line for line in lines)
    assert any("--topic one --resource-pattern-type literal" in line for line in lines)
    assert exit_status("topics", "plan", "--acls", "table", "--json", *given) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["acls"]) == len(lines)


@pytest.mark.parametrize("given", ["ingest", "ingest=x", "ingest=User:", "other=User:x"])
def test_a_principal_that_cannot_be_meant_is_refused(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("topics", "plan", "--acls", "table", "--principal", given) == 2
    assert "write ROLE=User:NAME; a role is collect, ingest" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("topics", verb, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: auditstream topics {verb}")
