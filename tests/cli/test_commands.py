"""Every command as a process, from an empty folder: what it says, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from detectors.contract import Detector, EstateDetector
from pipeline.batch import Source
from pipeline.cli.main import main
from pipeline.config import Config, load
from pipeline.registry import detectors, sources
from schemas.avro import NAMES
from tests.commands import SCRIPT, auditstream, exit_status, start, summary
from tests.logs import START, authorizer_lines, broker_lines, write

COMMANDS = (
    "run", "events", "findings", "dead-letters", "sources", "detectors", "schema", "config",
    "broker-logging", "doctor",
)  # fmt: skip
STORED = ("events", "findings", "dead-letters")
KEYS = ("records", "items", "events", "duplicates", "filtered", "dead_letters", "findings")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "server.log", broker_lines(1500))


def test_help_says_what_there_is(empty: Path) -> None:
    done = auditstream("--help", cwd=empty)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n    {name}" in done.stdout for name in COMMANDS)
    assert auditstream("--version", cwd=empty).stdout.startswith("auditstream ")


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in STORED])
def test_every_command_runs_from_an_empty_folder(empty: Path, name: str) -> None:
    done = auditstream(name, cwd=empty)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert done.stdout
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "COMMAND"),
        (("nonsense",), 2, "nonsense"),
        (("run", "--nonsense"), 2, "--nonsense"),
        (("run", "--input", "nonsense"), 2, "write SOURCE=PATH, for instance auto=nonsense"),
        (("run", "--input", "nonsense=x"), 2, "there is auto, aws_cloudtrail"),
        (("run", "--input", "auto="), 2, "write SOURCE=PATH"),
        (("run", "--summary", "xml"), 2, "--summary"),
        (("run", "--follow"), 2, "--follow needs an --input"),
        (("run", "--follow", "--input", "auto=-"), 2, "cannot be followed"),
        (("run", "--input", "auto=-", "--input", "auto=-"), 2, "only once"),
        (("run", "--input", "auto=missing"), 1, "missing does not exist; name a file"),
        (("run", "--input", "auto=*.log"), 1, "matches nothing; name a file"),
        (("run", "--input", "auto=/dev/null"), 1, "to read a pipe, write -"),
        (("run", "--config", "missing.toml"), 1, "missing.toml cannot be read: No such file"),
        (("events",), 1, "no store at auditstream.db; `auditstream run --store"),
        (("findings", "--store", "x.db"), 1, "no store at x.db"),
        (("dead-letters", "--format", "xml"), 2, "--format"),
        (("sources", "nonsense"), 2, "there is aws_cloudtrail, kafka_authentication"),
        (("detectors", "nonsense"), 2, "there is acl_change"),
        (("schema", "nonsense"), 2, "there is audit_event"),
        (("registry",), 2, "VERB"),
        (("registry", "plan"), 1, "set kafka.registry.url"),
        (("registry", "apply"), 1, "set kafka.registry.url"),
        (("config", "missing.toml"), 1, "missing.toml cannot be read"),
        (("doctor", "--store", "missing.db"), 1, ""),
        (("doctor", "--input", "auto=missing"), 1, ""),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_errors_go_to_stderr_and_say_what_to_do(
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(empty)
    assert exit_status(*arguments) == status
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err + told.out


def test_what_there_is_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, dict[str, Source] | dict[str, Detector | EstateDetector]]
    known = {"sources": sources(), "detectors": detectors()}
    for command, things in known.items():
        assert main([command]) == 0
        listed = capsys.readouterr().out
        assert [line.split()[0] for line in listed.splitlines()] == list(things)
        for name, thing in things.items():
            assert main([command, name]) == 0
            told = capsys.readouterr().out
            assert told.startswith(f"{name}: {thing.title}")
            assert all(spot in told for spot in thing.blind_spots)


def test_every_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    names = capsys.readouterr().out.split()
    assert {*NAMES, "fields"} < set(names)
    for name in names:
        assert main(["schema", name]) == 0
        told = capsys.readouterr().out
        assert len(told) > 500
        if name != "fields":
            assert json.loads(told)


def test_the_broker_logging_is_printed_with_its_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker-logging"]) == 0
    told = capsys.readouterr().out
    assert "kafka.authorizer.logger" in told
    assert told.count("#") > 5


def test_the_printed_configuration_is_the_defaults(empty: Path) -> None:
    printed = auditstream("config", cwd=empty).stdout
    (empty / "a.toml").write_text(printed)
    config = load(empty / "a.toml")
    assert config.active() == Config().active()
    assert config.model_copy(update={"detectors": {}}) == Config()
    # Every section may be taken into use as it stands.
    used = re.sub(r"^# (?=\[\[)|^#   ", "", printed, flags=re.MULTILINE)
    assert len(tomllib.loads(used)["inputs"]) == 1
    (empty / "b.toml").write_text(used)
    assert load(empty / "b.toml").inputs[0].source == "auto"
    done = auditstream("config", "a.toml", cwd=empty)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("store = 5", "store"),
        ("stroe = 'x'", "stroe"),
        ("store = ", "not TOML"),
        ("[[inputs]]\npath = 'x'\nsource = 'nonsense'", "inputs.0.source: no source 'nonsense'"),
        ("[[inputs]]\npath = 'x'\nzone = 'Mars/Base'", "inputs.0.zone: 'Mars/Base' is no time zone"),
        ("[[inputs]]\nsource = 'auto'", "inputs.0.path"),
        ("[[principals]]\nnetworks = ['192.0.2.0/99']", "principals.0.networks.0"),
        ("[[principals]]\nkind = 'king'", "principals.0.kind"),
        ("[detectors.nonsense]\nthreshold = 1", "detectors.nonsense: no such detector"),
        ("[detectors.auth_failure_spike]\nthreshold = 0", "auth_failure_spike: threshold"),
        ("[detectors.auth_failure_spike]\nthreshhold = 9", "auth_failure_spike: threshhold"),
        ("[redaction]\nkey_file = 'missing'", "missing"),
        ("max_record_bytes = 1", "max_record_bytes"),
        ("store = '\ud800'", "not TOML"),
    ],
)  # fmt: skip
def test_a_bad_configuration_names_the_place(
    empty: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = empty / "a.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for arguments in (("config", str(path)), ("run", "--config", str(path))):
        assert exit_status(*arguments) == 1
        told = capsys.readouterr()
        assert said in told.err
        assert "Traceback" not in told.err


def test_a_run_says_what_became_of_everything(empty: Path, log: Path) -> None:
    done = auditstream("run", "--input", f"auto={log}", "--summary", "json", cwd=empty)
    assert done.returncode == 0
    found = summary(done.stdout)
    assert tuple(found)[: len(KEYS)] == KEYS
    assert found["records"] == 1500
    assert "dead letters" in done.stderr
    assert (empty / "auditstream.db").exists()
    text = auditstream("run", "--input", f"auto={log}", cwd=empty)
    assert text.returncode == 0
    assert "0 events + 0 duplicates" in text.stdout
    assert "auth_failure_spike" in text.stdout
    assert text.stderr == ""


def test_configured_inputs_are_read(empty: Path, log: Path) -> None:
    (empty / "a.toml").write_text(
        f"store = 'other.db'\n[[inputs]]\npath = '{log}'\ncluster = 'payments'\nhost_pattern = "
        "'{host}/server.log'\nzone = 'Europe/Berlin'\n[detectors.log_forgery]\nenabled = false\n"
    )
    done = auditstream("run", "--config", "a.toml", "--summary", "json", cwd=empty)
    assert summary(done.stdout)["events"] > 0
    shown = auditstream(
        "events", "--config", "a.toml", "--format", "jsonl", "--limit", "1", cwd=empty
    )
    event = json.loads(shown.stdout)
    assert event["auditstream"]["cluster"] == "payments"
    assert event["auditstream"]["host"] == log.parent.name
    assert event["metadata"]["original_time"].startswith("2026-11-01 00:00:00")
    assert event["time"] // 3_600_000 == START.timestamp() // 3600 - 1
    found = auditstream("findings", "--config", "a.toml", "--format", "csv", cwd=empty)
    assert "auth_failure_spike" in found.stdout
    assert "log_forgery" not in found.stdout


def test_standard_input_twice_adds_nothing(empty: Path, log: Path) -> None:
    given = ("run", "--input", "auto=-", "--summary", "json")
    for end in (b"", log.read_bytes().splitlines()[0][:80]):
        data = log.read_bytes() + end
        first = summary(auditstream(*given, cwd=empty, stdin=data).stdout)
        second = summary(auditstream(*given, cwd=empty, stdin=data).stdout)
        assert (second["events"], second["dead_letters"]) == (0, 0)
        assert second["records"] >= 1500
        assert second["store"]["events"] == first["store"]["events"]
        assert second["store"]["dead_letters"] == first["store"]["dead_letters"]
    whole = summary(
        auditstream("run", "--input", f"auto={log}", "--summary", "json", cwd=empty).stdout
    )
    assert whole["events"] == 0


def test_standard_input_of_another_kind_is_named(empty: Path) -> None:
    done = auditstream("run", "--input", "auto=-", "--summary", "json", cwd=empty, stdin=b"a\nb\n")
    assert done.returncode == 0
    assert summary(done.stdout)["unrecognised_files"] == ["-"]
    assert "-: not recognised" in done.stderr


def test_nothing_on_standard_input_is_nothing(empty: Path) -> None:
    done = auditstream("run", "--input", "auto=-", "--summary", "json", cwd=empty)
    assert (done.returncode, done.stderr, summary(done.stdout)["records"]) == (0, "", 0)


def test_a_folder_with_what_cannot_be_read_exits_1_and_reads_the_rest(
    nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (nobody / "logs").mkdir()
    write(nobody / "logs" / "a.log", authorizer_lines(10))
    write(nobody / "logs" / "b.log", authorizer_lines(10, seed=2)).chmod(0)
    (nobody / "logs" / "closed").mkdir(0)
    store = str(nobody / "s.db")
    given = ["run", "--input", f"auto={nobody / 'logs'}", "--store", store, "--summary", "json"]
    assert exit_status(*given) == 1
    told = capsys.readouterr()
    assert summary(told.out)["events"] == 10
    assert "b.log cannot be read: Permission denied" in told.err
    assert "closed cannot be read: Permission denied" in told.err


@pytest.mark.parametrize("format_", ["table", "jsonl", "csv"])
def test_a_reader_that_goes_away_is_no_error(empty: Path, log: Path, format_: str) -> None:
    auditstream("run", "--input", f"auto={log}", cwd=empty)
    process = start("events", "--format", format_, cwd=empty)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(120) == 0


def test_output_that_cannot_be_written_is_an_error(empty: Path, log: Path) -> None:
    auditstream("run", "--input", f"auto={log}", cwd=empty)
    for command in (["events"], ["findings", "--format", "csv"], ["sources"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [SCRIPT, *command],
                cwd=empty,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr == "auditstream: cannot read or write: No space left on device\n"


def test_a_terminal_that_knows_no_unicode(empty: Path) -> None:
    line = next(authorizer_lines(1)).replace("User:app", "User:Zoë")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    auditstream("run", "--input", "auto=-", cwd=empty, stdin=line.encode(), environment=environment)
    done = auditstream("events", cwd=empty, environment=environment)
    assert done.returncode == 0
    assert "User:Zo\\xeb" in done.stdout


def test_the_doctor_says_what_the_logs_cannot_show(empty: Path, log: Path) -> None:
    done = auditstream("doctor", "--input", f"auto={log}", cwd=empty)
    assert done.returncode == 0
    assert f"{log}: " in done.stdout
    assert "no time zone configured" in done.stdout
    denials = [line for line in broker_lines(1500) if "is Denied" in line]
    done = auditstream("doctor", "--input", f"auto={write(empty / 'd.log', denials)}", cwd=empty)
    assert "only denials" in done.stdout
    assert "auditstream broker-logging" in done.stdout


def test_the_bundled_incident_leaves_nothing_behind(empty: Path) -> None:
    done = auditstream("run", cwd=empty)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    counters = [counter.name for counter, _ in Config().active()]
    estates = [estate.name for estate, _ in Config().active_estates()]
    assert all(f" {name} " in done.stdout for name in counters + estates)
    assert "Next:" in done.stdout
    assert list(empty.iterdir()) == []
