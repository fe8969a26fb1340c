"""Schemas in a real registry: registered by a command, never by a worker, and read by anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pipeline.cli.main import main
from pipeline.runtimes.kafka.registry import Absent, Registry, RegistryAway, RegistryError
from pipeline.runtimes.kafka.wires import LEVEL, TOPICS, registered, subject, wires
from pipeline.streaming import Registry as Section
from pipeline.streaming import Streaming, Tls
from schemas.types import Clock, columns
from schemas.wire import Undecodable, encoder, parsed
from tests.runtimes.kafka.running import eventually
from tests.schemas import made
from tests.servers.registry import Gate
from tests.servers.registry import Registry as Server

PASSWORD = "swordfish"
CLOCK = Clock("audit.raw.auto", 0, "prod", 1_795_218_764_297)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def gate(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with Gate(tmp_path_factory.mktemp("gate"), server.port, {"ingest": PASSWORD}) as open_gate:
        yield open_gate


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that stands still for a while is not away here, as it is for a worker."""
    monkeypatch.setattr("pipeline.runtimes.kafka.wires._BRIEFLY_S", 60.0)


@pytest.fixture
def streaming(server: Server, request: pytest.FixtureRequest) -> Streaming:
    """A stream of its own for each test, in one registry."""
    prefix = f"t{abs(hash(request.node.nodeid))}"
    return Streaming(prefix=prefix, registry=Section(url=server.url))


def configured(folder: Path, streaming: Streaming) -> tuple[str, str]:
    """The arguments that name the stream's configuration."""
    path = folder / "stream.toml"
    path.write_text(
        f'[kafka]\nprefix = "{streaming.prefix}"\n'
        f'[kafka.registry]\nurl = "{streaming.registry.url}"\n'
    )
    return "--config", str(path)


def applied(streaming: Streaming, folder: Path) -> None:
    assert main(["registry", "apply", *configured(folder, streaming)]) == 0


def guarded(gate: Gate, tmp_path: Path, **more: Any) -> Section:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    said: dict[str, Any] = {
        "url": gate.url,
        "username": "ingest",
        "password_file": str(tmp_path / "password"),
        "tls": Tls(enabled=True, ca_file=str(gate.certificates.ca)),
    }
    return Section(**{**said, **more})


# The command.


def test_plan_then_apply_then_nothing_to_do(
    streaming: Streaming, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path, streaming)
    subjects = [subject(streaming, topic) for topic in TOPICS]
    assert main(["registry", "plan", *config]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in subjects)
    assert told.count("set level, register") == len(subjects)
    assert f"{len(subjects)} to be done: auditstream registry apply" in told

    assert main(["registry", "apply", *config]) == 0
    told = capsys.readouterr().out
    assert told.count(": registered ") == told.count(f": {LEVEL} instead of") == len(subjects)

    assert main(["registry", "apply", *config]) == 0
    assert capsys.readouterr().out == "All was as it should be; nothing done.\n"
    assert main(["registry", "plan", "--json", *config]) == 0
    steps = json.loads(capsys.readouterr().out)
    assert [step["subject"] for step in steps] == subjects
    for step in steps:
        assert step["id"] > 0
        assert step["level"] == LEVEL
        assert (step["register"], step["set_level"], step["compatible"]) == (False, False, True)


def test_without_a_registry_there_is_nothing_to_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text("[kafka]\n")
    assert main(["registry", "plan", "--config", str(tmp_path / "c.toml")]) == 1
    assert "set kafka.registry.url" in capsys.readouterr().err


def test_an_incompatible_subject_stops_all_of_it(
    streaming: Streaming, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, name = Registry(streaming.registry), subject(streaming, "findings")
    other = {"type": "record", "name": "Finding", "fields": [{"name": "x", "type": "string"}]}
    registry.compatibility(name, LEVEL)
    registry.register(name, json.dumps(other))
    config = configured(tmp_path, streaming)
    assert main(["registry", "plan", *config]) == 0
    told = capsys.readouterr().out
    assert "REFUSED" in told
    assert f"{name}: what is registered there and this release's schema do not read" in told
    assert main(["registry", "apply", *config]) == 1
    told = capsys.readouterr().err
    assert name in told
    assert "nothing was done" in told
    for topic, held in TOPICS.items():
        with pytest.raises(Absent):
            registry.id_of(subject(streaming, topic), registered(held))
    with pytest.raises(RegistryError, match="incompatible"):
        registry.register(name, registered("finding"))


def test_a_level_that_others_set_is_set_back(
    streaming: Streaming, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    applied(streaming, tmp_path)
    registry, name = Registry(streaming.registry), subject(streaming, "events")
    registry.compatibility(name, "NONE")
    capsys.readouterr()
    applied(streaming, tmp_path)
    assert capsys.readouterr().out == f"{name}: {LEVEL} instead of NONE\n1 done.\n"
    assert registry.level(name) == LEVEL


def test_a_later_release_registers_beside_the_earlier(streaming: Streaming, tmp_path: Path) -> None:
    applied(streaming, tmp_path)
    registry, name = Registry(streaming.registry), subject(streaming, "clocks")
    number = registry.register(name, json.dumps(later("clock", default="none")))
    assert registry.id_of(name, registered("clock")) != number
    # The earlier release still starts, and reads what the later one writes.
    row = {**columns(CLOCK), "extra": "ours"}
    value = confluent(number, parsed(registry.schema(number)), row)
    assert wires(streaming).decoder("clock")(value) == columns(CLOCK)
    with pytest.raises(RegistryError, match="incompatible"):
        registry.register(name, json.dumps(later("clock")))


def later(name: str, **more: Any) -> Any:
    """A schema as a later release might have it."""
    said = json.loads(registered(name))
    said["fields"].append({"name": "extra", "type": "string", **more})
    return said


def confluent(number: int, avro: Any, row: Any) -> bytes:
    """A row in Confluent's format, by hand."""
    wire = BytesIO()
    fastavro.schemaless_writer(wire, avro, row)
    return b"\0" + number.to_bytes(4, "big") + wire.getvalue()


# Rows.


@pytest.mark.parametrize("name", sorted(set(TOPICS.values())))
def test_rows_travel_by_number(streaming: Streaming, tmp_path: Path, name: str) -> None:
    applied(streaming, tmp_path)
    registry, found = Registry(streaming.registry), wires(streaming)
    decode = found.decoder(name)
    for topic in (topic for topic, held in TOPICS.items() if held == name):
        number = registry.id_of(subject(streaming, topic), registered(name))
        encode = found.encoder(name, topic)
        for row in made.rows(name):
            value = encode(row)
            assert value == found.encoder(name)(row)
            assert value[:5] == b"\0" + number.to_bytes(4, "big")
            assert decode(value) == made.as_read(row)
            # By hand, with nothing but what the registry says.
            body = BytesIO(value[5:])
            avro = fastavro.parse_schema(json.loads(registry.schema(number)))
            assert fastavro.schemaless_reader(body, avro, None) == made.as_read(row)
            # And what was written before there was a registry.
            assert decode(encoder(name)(row)) == made.as_read(row)


@pytest.mark.parametrize("name", sorted(set(TOPICS.values())))
def test_confluents_own_deserialiser_reads_them(
    streaming: Streaming, tmp_path: Path, name: str
) -> None:
    from confluent_kafka.schema_registry import SchemaRegistryClient, avro
    from confluent_kafka.serialization import MessageField, SerializationContext

    applied(streaming, tmp_path)
    found = wires(streaming)
    topic = next(topic for topic, held in TOPICS.items() if held == name)
    context = SerializationContext(streaming.topic(topic), MessageField.VALUE)
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    with SchemaRegistryClient({"url": streaming.registry.url}) as client:
        read = avro.AvroDeserializer(client)
        write = avro.AvroSerializer(client, None, conf=settings)
        for row in made.rows(name):
            value = found.encoder(name)(row)
            assert read(value, context) == made.as_read(row)
            assert write(columns(row), context) == value
            assert found.decoder(name)(value) == made.as_read(row)


def test_a_schema_that_is_not_registered_is_never_registered(streaming: Streaming) -> None:
    with pytest.raises(RegistryError, match="run `auditstream registry apply`"):
        wires(streaming)
    registry = Registry(streaming.registry)
    for topic, name in TOPICS.items():
        with pytest.raises(Absent):
            registry.id_of(subject(streaming, topic), registered(name))


def test_numbers_of_nothing_are_undecodable(streaming: Streaming, tmp_path: Path) -> None:
    applied(streaming, tmp_path)
    registry, decode = Registry(streaming.registry), wires(streaming).decoder("clock")
    for _ in range(2):
        with pytest.raises(Undecodable, match="the registry has no schema 999999"):
            decode(b"\0" + (999_999).to_bytes(4, "big") + b"row")
    number = registry.register(f"{streaming.prefix}-other", '"string"')
    with pytest.raises(Undecodable, match="not a row of clock"):
        decode(b"\0" + number.to_bytes(4, "big") + b"\x06row")


def test_a_registry_that_is_away_stops_only_what_it_alone_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(tmp_path / "registry") as server:
        streaming = Streaming(registry=Section(url=server.url))
        applied(streaming, tmp_path)
        registry, found = Registry(streaming.registry), wires(streaming)
        encode, decode = found.encoder("clock"), found.decoder("clock")
        value = encode(CLOCK)
        assert decode(value) == columns(CLOCK)
        avro = later("clock", default="none")
        number = registry.register(subject(streaming, "clocks"), json.dumps(avro))
        newer = confluent(number, parsed(json.dumps(avro)), {**columns(CLOCK), "extra": "ours"})
        server.stop()
        assert encode(CLOCK) == value
        assert decode(value) == columns(CLOCK)
        with monkeypatch.context() as patched:
            # A worker asks once: it has other things to do than to wait.
            patched.delattr("pipeline.runtimes.kafka.registry.time.sleep")
            for _ in range(3):
                with pytest.raises(RegistryAway, match="cannot be reached"):
                    decode(newer)
        server.start()
        applied(streaming, tmp_path)
        assert registry.register(subject(streaming, "clocks"), json.dumps(avro)) == number

        def known() -> bool:
            with suppress(RegistryAway):
                return bool(decode(newer) == columns(CLOCK))
            return False

        eventually(known, "the new schema to be known")


# Logins, and what is said where it does not work.


def test_over_tls_with_a_login(gate: Gate, tmp_path: Path, streaming: Streaming) -> None:
    section = guarded(gate, tmp_path)
    registry = Registry(section)
    number = registry.register(f"{streaming.prefix}-x", '"string"')
    assert registry.schema(number) == '"string"'
    assert PASSWORD not in repr(registry)
    # TLS is the url's word; `enabled` adds nothing to it.
    tls = Tls(ca_file=str(gate.certificates.ca))
    assert Registry(guarded(gate, tmp_path, tls=tls)).schema(number) == '"string"'


def test_a_wrong_password_is_said(gate: Gate, tmp_path: Path) -> None:
    section = guarded(gate, tmp_path)
    (tmp_path / "password").write_text("not-" + PASSWORD)
    with pytest.raises(RegistryError, match=r"does not let us .*status 401.*username") as error:
        Registry(section).schema(1)
    assert PASSWORD not in str(error.value)
    assert not isinstance(error.value, RegistryAway)
    with pytest.raises(RegistryError, match="status 401"):
        wires(Streaming(registry=section))


def test_a_stranger_is_not_trusted(gate: Gate, tmp_path: Path) -> None:
    section = guarded(gate, tmp_path, tls=Tls(enabled=True))
    with pytest.raises(RegistryError, match=r"not one to trust.*tls\.ca_file"):
        Registry(section).schema(1)


def test_nobody_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    streaming = Streaming(registry=Section(url="http://127.0.0.1:1"))
    with pytest.raises(RegistryAway, match=r"127\.0\.0\.1:1 cannot be reached"):
        wires(streaming)
    assert main(["registry", "plan", *configured(tmp_path, streaming)]) == 1
    told = capsys.readouterr().err
    assert "cannot be reached" in told
    assert "check kafka.registry.url" in told


def test_what_is_no_registry_is_said(server: Server) -> None:
    elsewhere = server.url.removesuffix("/apis/ccompat/v7")
    with pytest.raises(RegistryError, match=r"no JSON|not there|status 405"):
        Registry(Section(url=elsewhere)).register("x", '"string"')
