"""One real Kafka 4.1 node, broker and controller in one process, for as long as a test runs.

    with Kafka(tmp_path, {"admin": "secret"}, logging="debug", clients=["192.0.2.10"]) as kafka:
        AdminClient(kafka.client("admin", "192.0.2.10"))

Clients log in with SASL/SCRAM-SHA-256, over plain text or, given certificates, over TLS with one
of their own; `admin` is a super user, everybody else may do what ACLs allow. Every client address
has a listener of its own, for the address from which the broker sees a client is settled by the one
it connects to.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.lab import jars
from pipeline.lab.addresses import Route, free_ports, routes
from pipeline.lab.certificates import PASSWORD, Certificates
from pipeline.lab.java import java
from pipeline.lab.leash import Leash, complaints
from pipeline.lab.server import NotStarted, Server

Logging: TypeAlias = Literal["product", "default", "debug"]
"""`product`: what the product tells operators to use; `default`: as Kafka is shipped;
`debug`: the shipped layout and files, with allowed operations in the authorizer's log."""

Settings: TypeAlias = dict[str, str | int | float | bool]
"""What a client of confluent-kafka is made from."""

ADMIN = "admin"
DEFAULT_CLIENT = "192.0.2.10"

_CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"
_MECHANISM = "SCRAM-SHA-256"
_LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
_STARTED = "Kafka Server started"
_SHIPPED_LOGGING = Path(__file__).with_name("kafka_logging.yaml")
_PRODUCT_LOGGING = Path(__file__).parents[1] / "broker_logging" / "log4j2.yaml"

_SINGLE_NODE = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}


class Kafka(Server):
    """A node in `folder`: `data`, `logs`, `server.properties` and `output.log` lie in it.

    `users` maps names to passwords and must hold `admin`. `clients` are the addresses that
    clients come from, where this machine allows (see `seen_from`). `properties` are added to
    the broker's configuration, `log_levels` to that of the shipped logging: `selector` and
    `request` (see kafka_logging.yaml). It may be started again after a stop or a kill.
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        *,
        logging: Logging = "default",
        clients: Sequence[str] = (DEFAULT_CLIENT,),
        properties: Mapping[str, str] | None = None,
        log_levels: Mapping[str, str] | None = None,
        tls: Certificates | None = None,
        time_zone: str = "UTC",
        heap_mib: int = 256,
    ) -> None:
        super().__init__(folder, "the broker")
        self.users = dict(users)
        self.logging = logging
        self._clients = tuple(clients)
        self._tls = tls
        self._properties = (tls.broker() if tls else {}) | dict(properties or {})
        self._heap_mib = heap_mib
        self._system_properties = {
            "kafka.logs.dir": str(self.logs),
            "user.timezone": time_zone,
            **_logging_properties(logging, log_levels or {}),
        }
        self._routes: Mapping[str, Route] = {}
        self._ports: dict[str, int] = {}
        self._seen = 0

    @property
    def logs(self) -> Path:
        """The folder with `server.log`, `kafka-authorizer.log` and the others."""
        return self.folder / "logs"

    def bootstrap(self, client: str | None = None) -> str:
        """The host:port to which clients from the address (the first by default) connect."""
        client = client or self._clients[0]
        return f"{self._routes[client].broker}:{self._ports[client]}"

    def seen_from(self, client: str | None = None) -> str:
        """The address from which the broker sees such a client: its own, or 127.0.0.1."""
        return self._routes[client or self._clients[0]].client

    def client(self, user: str, client: str | None = None, **more: str | int) -> Settings:
        """The settings with which a confluent-kafka client logs in; `password` in `more` wins."""
        password = more.pop("password", None) or self.users[user]
        return {
            "bootstrap.servers": self.bootstrap(client),
            "security.protocol": self._protocol,
            "sasl.mechanism": _MECHANISM,
            "sasl.username": user,
            "sasl.password": password,
            **self._client_tls(),
            **{name.replace("_", "."): value for name, value in more.items()},
        }

    @property
    def _protocol(self) -> str:
        return "SASL_SSL" if self._tls else "SASL_PLAINTEXT"

    def _client_tls(self) -> dict[str, str]:
        if self._tls is None:
            return {}
        return {
            "ssl.ca.location": str(self._tls.ca),
            "ssl.certificate.location": self._tls.path("client.pem"),
            "ssl.key.location": self._tls.path("client.key"),
            "ssl.key.password": PASSWORD,
        }

    def log(self, name: str) -> str:
        """All of a log so far, with what was rolled away when an hour ended."""
        rolled = sorted(self.logs.glob(f"{name}.*"))
        paths = [path for path in (*rolled, self.logs / name) if path.exists()]
        # As bytes: reading as text would turn a client's carriage return into a line feed.
        return b"".join(path.read_bytes() for path in paths).decode(errors="replace")

    def _prepare(self) -> None:
        self._java = self._java or java(jars.ensure())
        self._recording = self._java.recording(self.folder)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._claim_addresses()
        self._format()
        self._seen = len(self.log("server.log"))

    def _command(self) -> Sequence[str]:
        assert self._java is not None
        return self._java.command(
            "kafka.Kafka",
            str(self.folder / "server.properties"),
            properties=self._system_properties,
            heap_mib=self._heap_mib,
            recording=self._recording,
        )

    def _serves(self) -> bool:
        return _STARTED in self.log("server.log")[self._seen :]

    def _claim_addresses(self) -> None:
        self._routes = self._claims.enter_context(routes(self._clients))
        if not self._ports:
            names = ("CONTROLLER", *self._clients)
            self._ports = dict(zip(names, free_ports(len(names)), strict=True))

    def _format(self) -> None:
        """Write the configuration and, the first time, prepare the data folder."""
        configuration = self.folder / "server.properties"
        lines = [f"{name}={value}\n" for name, value in self._configuration().items()]
        configuration.write_text("".join(lines))
        if (self.folder / "data" / "meta.properties").exists():
            return
        users = [
            argument
            for name, password in self.users.items()
            for argument in ("--add-scram", f"{_MECHANISM}=[name={name},password={password}]")
        ]
        assert self._java is not None
        # In a file: everybody on a machine may read what is on a command line.
        arguments = self.folder / "format.arguments"
        arguments.write_text("\n".join(users) + "\n")
        command = self._java.command(
            "kafka.tools.StorageTool",
            *("format", "-t", _CLUSTER_ID, "-c", str(configuration), f"@{arguments}"),
            properties=self._system_properties | {"kafka.logs.dir": str(self.folder)},
        )
        output = self.folder / "format.log"
        leash = Leash(command, output=output)
        status = leash.wait(240)
        arguments.unlink()
        if status:
            raise NotStarted(f"the storage could not be formatted: {complaints(output)}")

    def _configuration(self) -> dict[str, str]:
        controller = f"127.0.0.1:{self._ports['CONTROLLER']}"
        names = {client: f"CLIENT{number}" for number, client in enumerate(self._clients)}
        # Each where its clients call, on this machine alone.
        listeners = [f"{name}://{self.bootstrap(client)}" for client, name in names.items()]
        protocols = ["CONTROLLER:PLAINTEXT"]
        protocols += [f"{name}:{self._protocol}" for name in names.values()]
        jaas = f"{_MECHANISM.lower()}.sasl.jaas.config"
        login = f'{_LOGIN_MODULE} required username="{ADMIN}" password="{self.users[ADMIN]}";'
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join([f"CONTROLLER://{controller}", *listeners]),
            "advertised.listeners": ",".join(listeners),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "CLIENT0",
            "sasl.enabled.mechanisms": _MECHANISM,
            "sasl.mechanism.inter.broker.protocol": _MECHANISM,
            **{f"listener.name.{name.lower()}.{jaas}": login for name in names.values()},
            # Without the listener's name, Kafka takes no notice of it where there is SASL.
            **{
                f"listener.name.{name.lower()}.ssl.client.auth": "required"
                for name in names.values()
                if self._tls
            },
            "authorizer.class.name": _AUTHORIZER,
            # The controller's listener knows no logins: its own broker is ANONYMOUS there.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
            "log.dirs": str(self.folder / "data"),
            **_SINGLE_NODE,
            **self._properties,
        }


def _logging_properties(logging: Logging, levels: Mapping[str, str]) -> dict[str, str]:
    path = _PRODUCT_LOGGING if logging == "product" else _SHIPPED_LOGGING
    chosen = {"authorizer": "DEBUG", **levels} if logging == "debug" else dict(levels)
    return {
        "log4j2.configurationFile": str(path),
        **{f"harness.{name}": level for name, level in chosen.items()},
    }
