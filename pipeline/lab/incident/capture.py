"""The capture: a broker of its own, the play upon it, and what is kept of its logs."""

import re
import socket
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from pipeline.lab.incident import desk, trail
from pipeline.lab.incident.cast import HOSTS, USERS
from pipeline.lab.incident.play import play
from pipeline.lab.kafka import Kafka


def capture(folder: Path) -> None:
    """Play the incident on a broker of its own; leave its logs and what is around in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        levels = {"request": "DEBUG"}
        with Kafka(Path(home), USERS, logging="debug", clients=HOSTS, log_levels=levels) as kafka:
            play(kafka)
            ended = datetime.now(UTC).replace(microsecond=0)
        telling = (home, str(Path.home()), sys.prefix, socket.gethostname())
        for name, trim in (
            ("kafka-authorizer.log", _thinned), ("kafka-request.log", _asked),
            ("controller.log", _applied), ("server.log", _trimmed),
        ):  # fmt: skip
            (folder / name).write_text(trim(kafka.log(name), telling))
    surround(folder, ended)


def surround(folder: Path, ended: datetime) -> None:
    """Write what the cloud account and the support desk recorded around a play that `ended`."""
    document = orjson.dumps({"Records": trail.records(ended)})
    (folder / "cloudtrail.json").write_bytes(document + b"\n")
    lines = (orjson.dumps(record) + b"\n" for record in desk.records(ended))
    (folder / "support-sessions.jsonl").write_bytes(b"".join(lines))


_OWN = re.compile(r"Principal = User:ANONYMOUS is Allowed operation = CLUSTER_ACTION .*\)$")
_ENTRY = re.compile(r"^(?=\[\d{4}-)", re.MULTILINE)
_FIRST, _LAST = 15, 8
_CHANGING = ("CREATE_", "DELETE_", "ALTER_", "INCREMENTAL_ALTER_")
_DUMP = re.compile(r"(Config|Configs) values:")


def _thinned(text: str, _telling: Sequence[str]) -> str:
    """The authorizer's log with one in ten of the lines about the broker's own doings."""
    kept, own = [], 0
    for line in text.splitlines(keepends=True):
        own += (is_own := _OWN.search(line) is not None)
        if not is_own or own % 10 == 1:
            kept.append(line)
    return "".join(kept)


def _asked(text: str, _telling: Sequence[str]) -> str:
    """The request log with one in a hundred of what changes nothing, of the shorter ones."""
    kept, idle = [], 0
    for line in text.splitlines(keepends=True):
        name = re.search(r'"requestApiKeyName":"([A-Z_]+)"', line)
        changes = name is not None and name[1].startswith(_CHANGING)
        idle += not changes
        if changes or (idle % 100 == 1 and len(line) < 2000):
            kept.append(line)
    return "".join(kept)


def _applied(text: str, telling: Sequence[str]) -> str:
    """A log without dumps of the configuration, and without what tells of this machine."""
    names = "|".join(map(re.escape, telling))
    places = re.compile(rf"(?<!\w)(?:{names})(?!\w)")
    return "".join(e for e in _ENTRY.split(text) if not _DUMP.search(e) and not places.search(e))


def _trimmed(text: str, telling: Sequence[str]) -> str:
    """The server's log from its first lines on, without most of its start and all of its stop."""
    entries = _ENTRY.split(_applied(text, telling))
    started = _position(entries, "Kafka Server started")
    stopping = _position(entries, "Terminating process due to signal")
    return "".join(entries[:_FIRST] + entries[started - _LAST : stopping])


def _position(entries: Sequence[str], phrase: str) -> int:
    return next(number for number, entry in enumerate(entries) if phrase in entry)
