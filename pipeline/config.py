"""Configuration: one TOML file, checked whole before anything starts."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from detectors.contract import (
    Detector,
    EpisodeSettings,
    EstateDetector,
    EstateSettings,
    Settings,
)
from detectors.own import Own, OwnSettings
from pipeline.engine import MAX_RECORD_BYTES, Plan
from pipeline.errors import ConfigError
from pipeline.registry import detectors, sources
from pipeline.rights import Role, rights
from pipeline.stages.enrich import Principal, covers, describe
from pipeline.stages.exclude import exclude
from pipeline.stages.redact import Redactor
from pipeline.stages.retain import retain
from pipeline.storage import Dashboards, Retention, Storage
from pipeline.streaming import Metrics, RawTopic, Section, Silence, SourceName, Streaming
from schemas.vocabulary import ActorKind


def _zone(name: str) -> str:
    try:
        if name:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write an IANA name as Europe/Berlin") from None
    return name


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is no network; write 192.0.2.0/24") from None


KAFKA: Final = "kafka:"
"""Before the name of a topic in the place of a path; a file of such a name is ./kafka:NAME."""

Zone = Annotated[str, AfterValidator(_zone)]


class Input(Section):
    """One input, and what its lines do not say themselves."""

    source: SourceName = Field(
        "auto", description="Source that reads it, or auto: each line goes to its own."
    )
    path: str = Field(description="File, folder, glob, .gz, - for standard input, or kafka:TOPIC.")
    cluster: str = Field("default", description="Label of the cluster or cloud account.")
    host: str = Field("", description="Host that wrote it; or take it from the path:")
    host_pattern: str = Field(
        "", description="Path pattern with {host} in it, e.g. */{host}/server.log*"
    )
    zone: Zone = Field(
        "", description="Time zone of stamps without an offset; empty: UTC, and events say so."
    )

    @property
    def topic(self) -> str:
        """The recorded topic that is read, or empty: it is none."""
        return self.path.removeprefix(KAFKA) if self.path.startswith(KAFKA) else ""

    def host_of(self, path: str) -> str:
        """The host of a file of this input."""
        if self.host or not self.host_pattern:
            return self.host
        pattern = re.escape(self.host_pattern).replace(r"\{host\}", "(?P<host>[^/]+)")
        found = re.search(pattern.replace(r"\*", "[^/]*") + "$", path)
        return found["host"] if found else ""


class PrincipalRule(Section):
    """Who a principal is. The first entry that matches wins; what matches none is unknown."""

    pattern: str = Field("", description="Full principal, * for anything: User:payments-*")
    kind: ActorKind = Field(
        ActorKind.UNKNOWN,
        description="workload, automation, human, provider_human or provider_automation",
    )
    owner: str = Field("", description="Team or person answerable for it.")
    provider: str = Field("", description="Provider it belongs to: its actions are support.")
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Source networks whose every action is this entry's."
    )


class Estate(Section):
    """Clusters and cloud accounts that belong together. A label in none is an estate of its own."""

    name: str = Field(min_length=1, description="What support records and findings call it.")
    clusters: tuple[str, ...] = Field((), description="Labels of inputs: their `cluster`.")


class OwnPrincipal(Section):
    """One of auditstream's own principals: its work is left out, all else it does is a finding."""

    role: Role = Field(
        "ingest", description="What it does: collect, ingest, detect, index, topics or reconcile."
    )
    principal: str = Field(
        "", description="Full principal, without wildcards; empty: User:auditstream-ROLE."
    )
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Networks it works from; none: nothing is left out, all is a finding."
    )
    cluster: str = Field("default", description="Label of the cluster that the stream runs on.")

    @field_validator("principal")
    @classmethod
    def _full(cls, text: str) -> str:
        kind, _, name = text.partition(":")
        if text and (not kind or not name or "*" in text):
            raise ValueError(f"{text!r} is no full principal; write User:NAME, without *")
        return text

    def said(self, streaming: Streaming) -> tuple[str, Own]:
        """The principal, and what is expected of it."""
        who = self.principal or f"User:auditstream-{self.role}"
        return who, Own(self.role, self.cluster, self.networks, rights(streaming, self.role))


class Redaction(Section):
    """Keyed hashes in the place of secrets, so that the same secret is recognised again."""

    key_file: str = Field("", description="File that holds the key; empty: [redacted], no hash.")
    key_env: str = Field("", description="Or: environment variable that holds it.")
    key_id: str = Field("1", description="Name of the key, kept in each event.")

    def redactor(self) -> Redactor:
        """The redactor with its key read.

        Raises:
            ConfigError: the key cannot be read or is too short.
        """
        try:
            key = Path(self.key_file).read_bytes().strip() if self.key_file else b""
        except OSError as error:
            raise ConfigError(f"redaction key {self.key_file}: {error.strerror}") from error
        if self.key_env:
            key = os.environ.get(self.key_env, "").encode()
        if (self.key_file or self.key_env) and len(key) < 16:
            raise ConfigError("the redaction key needs at least 16 bytes; make one at random")
        return Redactor(key, self.key_id)


class Config(Section):
    """Everything a run is told."""

    store: str = Field(
        "auditstream.db",
        description="The store: a file of SQLite, or https://HOST:PORT of OpenSearch to read.",
    )
    max_record_bytes: int = Field(
        MAX_RECORD_BYTES, ge=1024, le=64 * 1024 * 1024,
        description="Longer records become dead letters.",
    )  # fmt: skip
    inputs: tuple[Input, ...] = Field((), description="What is read. --input takes their place.")
    principals: tuple[PrincipalRule, ...] = Field((), description="Who is who.")
    estates: tuple[Estate, ...] = Field((), description="What belongs together.")
    own: tuple[OwnPrincipal, ...] = Field((), description="As whom auditstream itself works.")
    redaction: Redaction = Field(Redaction(), description="How secrets are replaced.")
    retention: tuple[Retention, ...] = Field((), description="How long events are kept.")
    kafka: Streaming = Field(Streaming(), description="The stream.")
    silence: tuple[Silence, ...] = Field((), description="What must not fall silent.")
    metrics: Metrics = Field(Metrics(), description="Metrics and health of workers.")
    opensearch: Storage = Field(Storage(), description="Where the stream's events are indexed.")
    dashboards: Dashboards = Field(Dashboards(), description="Where people look at them.")
    detectors: dict[str, dict[str, Any]] = Field({}, description="Numbers of the detectors.")

    @model_validator(mode="after")
    def _one_estate_each(self) -> Config:
        """Which estate a label is of must not hang on the order of the sections."""
        names = [estate.name for estate in self.estates]
        labels = [label for estate in self.estates for label in {*estate.clusters, estate.name}]
        for said in (names, labels):
            for name in said:
                if said.count(name) > 1:
                    raise ValueError(f"estates: {name!r} is in two of them; a label is of one")
        return self

    @model_validator(mode="after")
    def _one_term_each(self) -> Config:
        """A class may have several entries, but is kept for one number of days."""
        days: dict[str, int] = {}
        for entry in self.retention:
            if days.setdefault(entry.name, entry.days) != entry.days:
                raise ValueError(f"retention: {entry.name!r} is kept for two numbers of days")
        return self

    def active(self) -> list[tuple[Detector, EpisodeSettings]]:
        """Enabled counters with their numbers.

        Raises:
            ConfigError: a detector that does not exist, or a number it cannot take.
        """
        return [
            (detector, settings)
            for detector, settings in self._enabled()
            if isinstance(detector, Detector) and isinstance(settings, EpisodeSettings)
        ]

    def active_estates(self) -> list[tuple[EstateDetector, EstateSettings]]:
        """Enabled estate detectors with their numbers.

        Raises:
            ConfigError: as :meth:`active`.
        """
        return [
            (detector, settings)
            for detector, settings in self._enabled()
            if isinstance(detector, EstateDetector) and isinstance(settings, EstateSettings)
        ]

    def _enabled(self) -> list[tuple[Detector | EstateDetector, Settings]]:
        known = detectors()
        for name in self.detectors:
            if name not in known:
                raise ConfigError(f"detectors.{name}: no such detector; {', '.join(known)}")
        out: list[tuple[Detector | EstateDetector, Settings]] = []
        for name, detector in known.items():
            given = self.detectors.get(name, {})
            is_told_own = issubclass(detector.settings, OwnSettings)
            if is_told_own and "own" in given:
                raise ConfigError(f"detectors.{name}.own: write [[own]] instead")
            try:
                settings = detector.settings(**given)
            except ValidationError as error:
                raise ConfigError(_explain(error, f"detectors.{name}")) from None
            if is_told_own:
                settings = settings.model_copy(update={"own": self.expected()})
            if settings.enabled and (self.own or not is_told_own):
                out.append((detector, settings))
        return out

    def expected(self) -> dict[str, tuple[Own, ...]]:
        """What is expected of auditstream's own principals, by principal."""
        out: dict[str, tuple[Own, ...]] = {}
        for who, said in (entry.said(self.kafka) for entry in self.own):
            out[who] = (*out.get(who, ()), said)
        return out

    def plan(self) -> Plan:
        """What the engine is set up with."""
        rules = [
            Principal(
                p.pattern, p.kind.value, p.owner, p.provider,
                tuple(ipaddress.ip_network(n) for n in p.networks),
            )
            for p in self.principals
        ]  # fmt: skip
        return Plan(
            sources(), describe(rules), self.redaction.redactor(), self.max_record_bytes,
            covers(rules), exclude(self.expected()),
            retain([rule for rule in (c.rule() for c in self.retention) if rule]),
        )  # fmt: skip

    def estate_of(self, label: str) -> str:
        """The estate that a label is of: one that names it, or is called so, or itself."""
        for estate in self.estates:
            if label in estate.clusters:
                return estate.name
        return label


def _explain(error: ValidationError, where: str) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(p) for p in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {place}: {said}" if place else f"{where}: {said}")
    return "\n".join(lines) + "\n`auditstream config` prints a complete example"


def load(path: Path | None) -> Config:
    """The configuration in ``path``, or the defaults.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds what means nothing.
    """
    if path is None:
        return Config()
    try:
        with path.open("rb") as file:
            config = Config.model_validate(tomllib.load(file))
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration {path} is not TOML: {error}") from None
    except ValidationError as error:
        raise ConfigError(_explain(error, str(path))) from None
    config.active()
    return config


def example() -> str:
    """A complete configuration with every setting at its default, commented."""
    lines = ["# Every setting of auditstream with its default. All are optional."]
    _section(Config, "", lines)
    for name, detector in detectors().items():
        lines += ["", f"# {detector.title}.", f"[detectors.{name}]"]
        _scalars(detector.settings, lines)
    return "\n".join(lines) + "\n"


def _section(model: type[BaseModel], name: str, lines: list[str]) -> None:
    """The settings of a section, then its lists of sections, then the sections in it."""
    lines += ["", *([f"# {_said(model)}", f"[{name}]"] if name else [])]
    _scalars(model, lines)
    inside = f"{name}." if name else ""
    for field, entry in _LISTS.get(model, {}).items():
        lines += ["", f"# {_said(entry)}", f"# [[{inside}{field}]]"]
        _scalars(entry, lines, comment="#   ")
    for field, found in model.model_fields.items():
        default = found.get_default()
        if isinstance(default, BaseModel):
            _section(type(default), inside + field, lines)


def _said(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n")[0]


_LISTS: dict[type[BaseModel], dict[str, type[BaseModel]]] = {
    Config: {
        "inputs": Input,
        "principals": PrincipalRule,
        "estates": Estate,
        "own": OwnPrincipal,
        "retention": Retention,
        "silence": Silence,
    },
    Streaming: {"raw": RawTopic},
}


def _scalars(model: type[BaseModel], lines: list[str], comment: str = "") -> None:
    for name, field in model.model_fields.items():
        default = field.get_default()
        if isinstance(default, (BaseModel, dict)) or name in _LISTS.get(model, {}):
            continue
        if field.is_required():
            default = f"a {name}"
        lines.append(f"{comment}# {field.description}")
        lines.append(f"{comment}{name} = {toml(default)}")


def toml(value: Any) -> str:
    """A setting's value as a configuration file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'
