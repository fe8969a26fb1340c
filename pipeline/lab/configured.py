"""The configurations of the lab's estate, by which each of its parts is started.

==============  =========================  =============  =======================================
name            user of the broker         of OpenSearch  for
==============  =========================  =============  =======================================
``topics``      ``auditstream-topics``                    `auditstream topics`
``collect``     ``auditstream-collect``                   `auditstream collect`
``worker``      ``auditstream-worker``     ``indexer``    `auditstream worker`, in every role
``opensearch``                             ``admin``      `auditstream opensearch`
``analyst``                                ``analyst``    `auditstream findings`, `timeline`, …
``auditor``     ``auditstream-reconcile``  ``auditor``    the same, `dead-letters`, `reconcile`
==============  =========================  =============  =======================================

Who is who and what belongs together is said as for the bundled incident.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.config import Input, OwnPrincipal, toml
from pipeline.lab.kafka import Kafka
from pipeline.lab.opensearch import OpenSearch
from pipeline.rights import Role
from pipeline.streaming import Metrics, RawTopic, Sasl, Silence, Streaming

STREAM: Final = Streaming(prefix="audit", group="auditstream-lab", partitions=1, replication=1)
DESK_TOPIC: Final = STREAM.topic("raw.support_session")
TRAIL_TOPIC: Final = STREAM.topic("raw.aws_cloudtrail")
FINDINGS_TOPIC: Final = STREAM.topic("findings")

OWN_HOST: Final = "192.0.2.70"
"""From where auditstream's own principals work, where clients can have addresses."""
COLLECTOR: Final = "auditstream-collect"
_WORKER: Final = "auditstream-worker"
OWN: Final[Mapping[Role, str]] = {
    "topics": "auditstream-topics",
    "collect": COLLECTOR,
    "ingest": _WORKER,
    "detect": _WORKER,
    "index": _WORKER,
    "reconcile": "auditstream-reconcile",
}
"""As which user of the broker each role works."""

INDEXER: Final = "indexer"
ANALYST: Final = "analyst"
AUDITOR: Final = "auditor"
"""Users of OpenSearch. Each has the least role of that name, which `opensearch plan` prints."""

_BROKER: Final = "kafka-prod"
_BROKER_TOPIC: Final = STREAM.topic("raw.auto")
_SILENT_S: Final = 20
_LABELS: Final = {DESK_TOPIC: "support-desk", TRAIL_TOPIC: "aws-111122223333"}
"""As the bundled incident calls what it is made of."""


class _Login(NamedTuple):
    user: str = ""
    store_user: str = ""


_LOGINS: Final = {
    "topics": _Login("auditstream-topics"),
    "collect": _Login(COLLECTOR),
    "worker": _Login(_WORKER, store_user=INDEXER),
    "opensearch": _Login(store_user="admin"),
    "analyst": _Login(store_user=ANALYST),
    "auditor": _Login("auditstream-reconcile", store_user=AUDITOR),
}


def configuration(
    name: str, kafka: Kafka, passwords: Path, opensearch: OpenSearch, watched: str
) -> str:
    """One of the above, as TOML.

    Args:
        kafka: started.
        passwords: where each user of the broker has a file that holds one.
        opensearch: started, where its user is named above.
        watched: where a worker says of itself how it is, HOST:PORT.
    """
    login = _LOGINS[name]
    lines: list[str] = []
    if login.store_user and login.store_user != INDEXER:
        lines.append(f"store = {toml(opensearch.url)}")
    lines.append(_who())
    if name == "collect":
        _section(lines, "[inputs]", Input(path=str(kafka.logs), cluster=_BROKER))
    for role, user in OWN.items():
        networks = (kafka.seen_from(OWN_HOST),)
        own = OwnPrincipal(role=role, principal=f"User:{user}", networks=networks, cluster=_BROKER)
        _section(lines, "[own]", own)
    if name == "worker":
        # A broker is never silent: what the workers themselves ask of it is in its log.
        _section(lines, "[silence]", Silence(topic=_BROKER_TOPIC, after_s=_SILENT_S))
        _section(lines, "metrics", Metrics(listen=watched))
    stream = STREAM
    if login.user:
        password = str(passwords / login.user)
        sasl = Sasl(mechanism="SCRAM-SHA-256", username=login.user, password_file=password)
        brokers, work = kafka.bootstrap(OWN_HOST), str(kafka.folder.parent)
        stream = stream.model_copy(update={"brokers": brokers, "folder": work, "sasl": sasl})
    _section(lines, "kafka", stream)
    for topic, label in _LABELS.items():
        source = topic.rpartition(".")[2]
        _section(lines, "[kafka.raw]", RawTopic(topic=topic, source=source, cluster=label))
    if login.store_user:
        _section(lines, "opensearch", opensearch.storage(login.store_user))
    return "\n".join(lines) + "\n"


def _who() -> str:
    """Estates and principals of the bundled incident; its inputs, which come first, are others."""
    said = (files("pipeline") / "incident" / "auditstream.toml").read_text("utf-8")
    return said[said.index("[[estates]]") :]


def _section(lines: list[str], name: str, section: Any) -> None:
    """Write what is said in a section, and the sections in it."""
    lines += ["", f"[{name}]"]
    said = {field: getattr(section, field) for field in sorted(section.model_fields_set)}
    inside = {field: value for field, value in said.items() if hasattr(value, "model_fields_set")}
    lines += [f"{field} = {toml(said[field])}" for field in said if field not in inside]
    for field, value in inside.items():
        if value.model_fields_set:
            _section(lines, f"{name}.{field}", value)
