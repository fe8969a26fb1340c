"""The configuration: complete as printed, strict, and clear about what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from detectors.own import OwnSettings
from pipeline.config import Config, Input, example, load
from pipeline.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "auditstream.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_printed_example_is_the_default(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, example()))
    assert loaded.active() == Config().active()
    assert loaded.model_copy(update={"detectors": {}}) == Config()


def test_the_printed_example_is_complete_and_its_comments_are_settings(tmp_path: Path) -> None:
    """Uncommenting the sections gives a configuration that loads."""
    lines = [
        line[2:].removeprefix("  ") if line.startswith(("# [[", "#   ")) else line
        for line in example().splitlines()
    ]
    config = load(written(tmp_path, "\n".join(lines)))
    assert config.inputs
    assert config.principals
    names = set(tomllib.loads("\n".join(lines)))
    assert names == set(Config.model_fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[inputs]]\npath = 'x'\nzone = 'Mars/Olympus'", "inputs.0.zone"),
        ("[[inputs]]\npath = 'x'\nsource = 'nonsense'", "inputs.0.source"),
        ("[[inputs]]\nsource = 'auto'", "inputs.0.path"),
        ("[[principals]]\nkind = 'alien'", "principals.0.kind"),
        ("[[principals]]\nnetworks = ['192.0.2.0/99']", "principals.0.networks"),
        ("[detectors.nonsense]\nthreshold = 3", "detectors.nonsense"),
        ("[detectors.auth_failure_spike]\nthreshold = 0", "threshold"),
        ("[detectors.auth_failure_spike]\nthreshhold = 3", "threshhold"),
        ("[[estates]]\nclusters = ['a']", "estates.0.name"),
        ("[[estates]]\nname = 'a'\n[[estates]]\nname = 'a'", "'a' is in two"),
        (
            "[[estates]]\nname = 'a'\nclusters = ['c']\n[[estates]]\nname = 'b'\nclusters = ['c']",
            "'c' is in two",
        ),
        ("[[estates]]\nname = 'a'\nclusters = ['b']\n[[estates]]\nname = 'b'", "'b' is in two"),
        ("[[own]]\nprincipal = 'User:auditstream-*'", "own.0.principal"),
        ("[[own]]\nprincipal = 'auditstream-ingest'", "own.0.principal"),
        ("[[own]]\nrole = 'archive'", "own.0.role"),
        ("[[silence]]\nsource = 'nonsense'", "silence.0.source"),
        ("[[silence]]\nafter_s = -1", "silence.0.after_s"),
        ("[kafka]\nlag_left_percent = 91", "lag_left_percent"),
        ("[metrics]\nlisten = '9464'", "metrics.listen: '9464' is nowhere to listen"),
        ("[metrics]\nlisten = '::1:9464'", "an IPv6 address stands in brackets"),
        ("[[own]]\nnetworks = ['192.0.2.0/99']", "own.0.networks"),
        ("[detectors.audit_principal_misuse]\nown = {}", "audit_principal_misuse.own"),
        ("stroe = 'x'", "stroe"),
        ("max_record_bytes = 1", "max_record_bytes"),
        ("store = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        load(written(tmp_path, text)).active()


def test_a_configuration_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("pattern", "path", "host"),
    [
        ("*/{host}/server.log*", "/logs/broker-1/server.log.2026-11-20", "broker-1"),
        ("{host}-authorizer.log", "/logs/b2-authorizer.log", "b2"),
        ("*/{host}/server.log", "/logs/broker-1/kafka-authorizer.log", ""),
        ("", "/logs/broker-1/server.log", ""),
    ],
)
def test_a_host_can_be_taken_from_the_path(pattern: str, path: str, host: str) -> None:
    assert Input(path="x", host_pattern=pattern).host_of(path) == host


def test_a_host_that_is_named_wins_over_the_pattern() -> None:
    given = Input(path="x", host="b9", host_pattern="{host}/server.log")
    assert given.host_of("/logs/b1/server.log") == "b9"


@pytest.mark.parametrize("key", [b"", b"short"])
def test_a_redaction_key_must_be_there_and_long_enough(tmp_path: Path, key: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(key)
    config = load(written(tmp_path, f"[redaction]\nkey_file = '{file}'"))
    with pytest.raises(ConfigError, match="16 bytes"):
        config.plan()


def test_a_redaction_key_is_read_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITSTREAM_TEST_KEY", "k" * 32)
    config = load(written(tmp_path, "[redaction]\nkey_env = 'AUDITSTREAM_TEST_KEY'"))
    assert config.plan().redactor.key == b"k" * 32


def test_a_label_is_of_the_estate_that_names_it_or_is_called_so_or_of_its_own(
    tmp_path: Path,
) -> None:
    text = "[[estates]]\nname = 'prod'\nclusters = ['kafka', 'aws', 'prod']"
    config = load(written(tmp_path, text))
    of = {label: config.estate_of(label) for label in ("kafka", "aws", "prod", "dev")}
    assert of == {"kafka": "prod", "aws": "prod", "prod": "prod", "dev": "dev"}


def test_own_principals_are_told_to_the_engine_and_to_their_detector(tmp_path: Path) -> None:
    text = (
        "[[own]]\nnetworks = ['192.0.2.0/24']\n[[own]]\nrole = 'detect'\nprincipal = 'User:audit'\n"
        "[[own]]\nrole = 'collect'\nprincipal = 'User:audit'\ncluster = 'prod'\n"
        "[kafka]\nprefix = 'seen'\n"
    )
    config = load(written(tmp_path, text))
    [told] = [s for d, s in config.active() if d.name == "audit_principal_misuse"]
    assert isinstance(told, OwnSettings)
    assert told.own == config.expected()
    said = {who: [(o.role, o.cluster) for o in own] for who, own in told.own.items()}
    assert said == {
        "User:auditstream-ingest": [("ingest", "default")],
        "User:audit": [("detect", "default"), ("collect", "prod")],
    }
    patterns = {r.pattern for own in told.own.values() for o in own for r in o.rights}
    assert {p for p in patterns if not p.startswith("seen.")} == {
        "auditstream-ingest", "auditstream-ingest-*", "auditstream-detect", "auditstream-detect-*",
        "auditstream-index",
    }  # fmt: skip
    assert config.plan().exclude is not None


def test_without_own_principals_their_detector_rests() -> None:
    assert Config().plan().exclude is None
    assert "audit_principal_misuse" not in {d.name for d, _ in Config().active()}
