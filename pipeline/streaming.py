"""What the stream is told: brokers, logins, topics. The configuration's ``[kafka]`` section.

Secrets are never in the configuration: it names a file or an environment variable that holds one.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.errors import ConfigError
from pipeline.registry import sources

RAW: Final = "raw"
"""Topics ``PREFIX.raw.SOURCE`` hold what that source reads, ``PREFIX.raw.auto`` anything."""


class Section(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def source_name(name: str) -> str:
    """The name, if a source has it; else `ValueError`."""
    if name != "auto" and name not in sources():
        known = ", ".join(["auto", *sources()])
        raise ValueError(f"no source {name!r}; there is {known}")
    return name


SourceName = Annotated[str, AfterValidator(source_name)]


def secret(file: str, variable: str, what: str) -> str:
    """The secret that a file, or else an environment variable, holds; empty where neither is said.

    Raises:
        ConfigError: it cannot be read, or is empty.
    """
    if not (file or variable):
        return ""
    try:
        found = Path(file).read_text().strip() if file else os.environ.get(variable, "")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the {what} in {file} cannot be read: {error}") from None
    if not found:
        raise ConfigError(f"the {what} in {file or f'${variable}'} is empty")
    return found


class Login(Protocol):
    """A section of the configuration that says as whom something is reached."""

    @property
    def username(self) -> str: ...

    @property
    def password_file(self) -> str: ...

    @property
    def password_env(self) -> str: ...


def password(login: Login, name: str) -> str:
    """The password that goes with a username; empty where neither is said.

    Args:
        name: of the section.

    Raises:
        ConfigError: there is one without the other, or :func:`secret` finds none.
    """
    found = secret(login.password_file, login.password_env, f"password ({name})")
    if bool(login.username) != bool(found):
        raise ConfigError(f"{name}: username and password go together; set both or neither")
    return found


class Tls(Section):
    """Encryption towards brokers or registry. Certificates are verified, always."""

    enabled: bool = Field(False, description="Whether to use TLS.")
    ca_file: str = Field("", description="PEM of the authorities to trust; empty: the system's.")
    certificate_file: str = Field("", description="PEM of our own certificate (mTLS).")
    key_file: str = Field("", description="PEM of its private key.")
    key_password_file: str = Field("", description="File that holds the key's password.")
    key_password_env: str = Field("", description="Or: environment variable that holds it.")


class Sasl(Section):
    """How to log in to the brokers."""

    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: none."
    )
    username: str = Field("", description="Of PLAIN and SCRAM.")
    password_file: str = Field("", description="File that holds the password.")
    password_env: str = Field("", description="Or: environment variable that holds it.")
    token_url: str = Field("", description="OAUTHBEARER: where a token is had (OIDC).")
    client_id: str = Field("", description="OAUTHBEARER: as whom.")
    client_secret_file: str = Field("", description="File that holds the client's secret.")
    client_secret_env: str = Field("", description="Or: environment variable that holds it.")
    scope: str = Field("", description="OAUTHBEARER: scope to ask for.")
    token_ca_file: str = Field(
        "", description="PEM of the authorities to trust for token_url; empty: the system's."
    )


class Registry(Section):
    """A schema registry with Confluent's API; without one, Avro's single-object encoding."""

    url: str = Field("", description="Where it is, e.g. https://registry.example.com; empty: none.")
    username: str = Field("", description="As whom.")
    password_file: str = Field("", description="File that holds the password.")
    password_env: str = Field("", description="Or: environment variable that holds it.")
    tls: Tls = Field(Tls(), description="Towards the registry.")


class RawTopic(Section):
    """Topics to read, and what their records do not say themselves."""

    topic: str = Field(description="Name, or pattern with *: connect-logs-*")
    source: SourceName = Field("auto", description="Source that reads it, or auto.")
    cluster: str = Field("default", description="Label of the cluster or cloud account.")
    host: str = Field("", description="Host that wrote it, where nothing better is said.")
    zone: str = Field("", description="Time zone of stamps without an offset.")


def _any_source(name: str) -> str:
    return name and source_name(name)


class Silence(Section):
    """How long what was heard may be silent. The first entry that matches counts."""

    topic: str = Field("*", description="Raw topic, or pattern with *: audit.raw.kafka_*")
    source: Annotated[str, AfterValidator(_any_source)] = Field(
        "", description="Source that reads the topic, or auto; empty: any."
    )
    cluster: str = Field("*", description="Label of the cluster or cloud account; * for anything.")
    after_s: int = Field(
        600, ge=0, le=30 * 86_400,
        description="Silent for longer, that is a finding. 0: it may be silent for ever.",
    )  # fmt: skip

    def covers(self, cluster: str, topic: str, source: str) -> bool:
        """Whether it is about what `source` reads of a cluster in a raw topic."""
        return (
            fnmatchcase(topic, self.topic)
            and fnmatchcase(cluster, self.cluster)
            and self.source in ("", source)
        )


class Streaming(Section):
    """The stream: where it runs. `auditstream topics plan` says what it needs there."""

    brokers: str = Field("127.0.0.1:9092", description="HOST:PORT,HOST:PORT")
    prefix: str = Field(
        "audit", pattern=r"^[a-zA-Z0-9_-]{1,100}$",
        description="Topics are called PREFIX.events and so on.",
    )  # fmt: skip
    group: str = Field(
        "auditstream", pattern=r"^[a-zA-Z0-9._-]{1,100}$",
        description="Consumer groups and transactional ids are called GROUP-ROLE.",
    )  # fmt: skip
    partitions: int = Field(8, ge=1, le=10_000, description="Of each topic that is made.")
    replication: int = Field(3, ge=1, le=32_767, description="Copies of each topic.")
    horizon_days: int = Field(
        40, ge=1, description="How long audit.control and the counters keep what they hold."
    )
    retention_days: int = Field(7, ge=1, description="How long the other topics do.")
    folder: str = Field(
        "", description="Where a worker keeps what it can make anew; empty: a temporary folder."
    )
    session_s: int = Field(
        20, ge=6, le=1800,
        description="How long a worker that says nothing is waited for before others take over.",
    )  # fmt: skip
    batch_records: int = Field(
        10_000, ge=1, le=100_000, description="Records of one partition that are one transaction."
    )
    lag_left_percent: int = Field(
        25, ge=0, le=90,
        description="Of a topic's retention: with less left for what waits to be read, that is a "
        "finding. 0: never.",
    )  # fmt: skip
    raw: tuple[RawTopic, ...] = Field(
        (), description="Topics beside PREFIX.raw.*; the first entry that matches counts."
    )
    tls: Tls = Field(Tls(), description="Towards the brokers.")
    sasl: Sasl = Field(Sasl(), description="Who we are.")
    registry: Registry = Field(Registry(), description="Where schemas are.")

    @property
    def lag_left(self) -> float:
        """The share of retention that must be left; 0: lags are not looked at."""
        return self.lag_left_percent / 100

    def topic(self, name: str) -> str:
        """The full name of one of our topics: ``events``, ``dead-letters`` …"""
        return f"{self.prefix}.{name}"

    def raw_topic(self, topic: str) -> RawTopic | None:
        """What is said of a topic of raw records; None: it is none."""
        for entry in self.raw:
            if fnmatchcase(topic, entry.topic):
                return entry
        source = topic.removeprefix(f"{self.prefix}.{RAW}.")
        if source != topic and (source == "auto" or source in sources()):
            return RawTopic(topic=topic, source=source)
        return None


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``[IPv6]:PORT``; `ValueError` where it is neither."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"{text!r} is nowhere to listen; write HOST:PORT as 127.0.0.1:9464")
    if (":" in bare) != (host != bare):
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as [::1]:9464")
    return bare, int(port)


def _listen(text: str) -> str:
    if text:
        listen_address(text)
    return text


class Metrics(Section):
    """What a worker says of itself over HTTP: /metrics, /live and /ready, without a login."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        "", description="HOST:PORT as 127.0.0.1:9464; empty: nowhere."
    )
