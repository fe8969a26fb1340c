"""What the first start draws: certificates that fit, secrets that are nobody's default, and once."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.collectors.progress import Progress
from tests.deploy.broker import DEPLOY, make_identities

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")

SERVERS = {"kafka": "kafka", "opensearch": "opensearch", "registry": "registry",
           "dashboards": "dashboards"}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    make_identities(folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def openssl(*arguments: str | Path) -> str:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_certificate_is_the_authoritys_and_has_its_key(made: Path) -> None:
    places = sorted(path.parent for path in made.glob("*/certificate.pem"))
    assert len(places) == 13
    for place in places:
        context = ssl.create_default_context(cafile=str(place / "ca.pem"))
        context.load_cert_chain(place / "certificate.pem", place / "key.pem")
        context.load_cert_chain(place / "pair.pem")
        strict = ("-x509_strict", "-CAfile", made / "authority" / "ca.pem")
        openssl("verify", *strict, place / "certificate.pem")


def test_a_server_is_known_by_its_name_and_a_client_is_no_server(made: Path) -> None:
    for name in SERVERS:
        text = openssl("x509", "-in", made / name / "certificate.pem", "-noout", "-text")
        assert f"DNS:{name}" in text
        assert "TLS Web Server Authentication" in text
    text = openssl("x509", "-in", made / "ingest" / "certificate.pem", "-noout", "-text")
    assert "Subject: CN = auditstream-ingest" in text or "CN=auditstream-ingest" in text
    assert "TLS Web Server Authentication" not in text


def test_secrets_are_long_and_all_different(made: Path) -> None:
    secrets = [
        (made / name).read_text()
        for name in ("ingest/redaction.key", "people/analyst", "dashboards-setup/dashboards-setup")
    ]
    assert all(re.fullmatch(r"[\w=-]{32,}", secret) for secret in secrets)
    assert len(set(secrets)) == 3


def test_nobody_else_may_read_a_key(made: Path) -> None:
    for path in [*made.glob("*/*.pem"), *made.glob("*/*.key"), *made.glob("people/*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_run_makes_only_what_is_missing(made: Path) -> None:
    before = digests(made)
    assert make_identities(made) == ""
    assert digests(made) == before
    (made / "index" / "certificate.pem").unlink()
    assert make_identities(made) == "made the identity index\n"
    after = digests(made)
    assert {name for name in after if after[name] != before[name]} == {
        "index/certificate.pem", "index/key.pem", "index/pair.pem",
    }  # fmt: skip


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes root, and setpriv"
)
def test_root_that_may_only_give_files_away_can_do_it_twice(tmp_path: Path) -> None:
    """As in docker-compose.yml: all capabilities dropped but CHOWN."""
    confined = ["setpriv", "--bounding-set=-all,+chown", "--inh-caps=-all", "--no-new-privs"]
    command = [*confined, "sh", str(DEPLOY / "setup" / "identities.sh"), str(tmp_path)]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "made the identity kafka" in first.stdout
    before = digests(tmp_path)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == ""
    assert digests(tmp_path) == before
    owners = {"kafka/key.pem": 1000, "ingest/redaction.key": 10001, "registry/key.pem": 185}
    assert {name: (tmp_path / name).stat().st_uid for name in owners} == owners
    assert (tmp_path / "kafka").stat().st_uid == 0
    assert (tmp_path / "work-index").stat().st_uid == 10001


def test_a_new_key_of_redaction_leaves_the_old_one_and_all_else(made: Path) -> None:
    before = digests(made)
    (made / "ingest" / "redaction.key").rename(made / "ingest" / "redaction-1.key")
    assert make_identities(made) == "made the secret ingest/redaction.key\n"
    after = digests(made)
    assert after["ingest/redaction-1.key"] == before["ingest/redaction.key"]
    assert {name for name in before if after[name] != before[name]} == {"ingest/redaction.key"}


def test_two_first_starts_have_nothing_in_common(made: Path, tmp_path: Path) -> None:
    make_identities(tmp_path / "other")
    assert not set(digests(made).values()) & set(digests(tmp_path / "other").values())


def test_a_collector_that_works_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "progress.db"
    command = [sys.executable, str(DEPLOY / "setup" / "holds_lock.py"), str(path)]

    def healthy() -> bool:
        return subprocess.run(command, check=False).returncode == 0

    assert not healthy()
    assert not path.exists()
    with closing(Progress(path)):
        assert healthy()
    assert not healthy()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
