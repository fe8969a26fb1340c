"""A broker's or controller's own life: start, stop, log levels, and the settings it runs with.

Event: 6002 Application Lifecycle, one a fact.

::

    [KafkaRaftServer nodeId=1] Kafka Server started
    Terminating process due to signal SIGTERM
    [BrokerServer id=1] shut down completed
    Updated the log level of kafka.authorizer.logger to INFO
    [StandardAuthorizer 1] set super.users=User:admin, default result=DENIED
    KafkaConfig values:
        authorizer.class.name = org.apache.kafka.metadata.authorizer.StandardAuthorizer

The dump of the configuration is written several times at a start and at each dynamic change, over
hundreds of lines, or in one where the layout writes line breaks as ``\\n``; of its settings the
event keeps those that security hangs on. ``super.users`` and ``allow.everyone.if.no.acl.found`` are
in no dump: the authorizer says them, on its own line, with what it does where no ACL is found.
Kafka 2.4 to 4.1; which level a logger had before is not said.
"""

from __future__ import annotations

from pipeline.batch import (
    Fact,
    Filtered,
    Line,
    Outcome,
    Reading,
    Source,
    State,
    in_turn,
    moment,
)
from pipeline.errors import Reason, Unreadable
from pipeline.kraft.process import dumps, prefix, said
from schemas.types import Event
from schemas.vocabulary import APPLICATION_LIFECYCLE, Forgery

_VERSION = "Kafka version: "
_WORDS = (" the log level of ", " set super.users=", " Kafka Server started")


def _read_line(line: Line, reading: Reading, state: State) -> Outcome:
    if not line.complete:
        raise Unreadable(Reason.TORN, "the end of a broker's line is missing")
    component, node, text = prefix(line.message)
    stated = said(line.logger, line.message)
    if stated is None:
        if text.startswith(_VERSION) and not line.suspect:
            state["version"] = text[len(_VERSION) :][:40]
        elif line.logger and any(words in text for words in _WORDS):
            detail = "a fact of security behind text that no broker writes"
            raise Unreadable(Reason.UNKNOWN_LAYOUT, detail)
        return Filtered(f"logger:{line.logger}" if line.logger else "kafka_broker:other")
    at, precision, spots = moment(line, reading)
    outcome = "success" if stated.success else "failure"
    event = Event(at, APPLICATION_LIFECYCLE, stated.activity, outcome, SOURCE.name)
    event.time_precision, event.blind_spots = precision, spots
    event.operation, event.message = stated.operation, stated.sentence
    event.suspect, event.forgery = line.suspect, line.forgery
    if "\n" in line.message and not dumps(line.message):
        event.forgery = event.forgery or Forgery.LINE_BREAK.value
    extension = {**stated.extension}
    extension |= {k: v for k, v in (("component", component), ("node", node)) if v}
    app = dict(SOURCE.product)
    if stated.operation == "Start" and "version" in state:
        app["version"] = state["version"]
    return Fact(event, line.stamp, "", (), {"app": app}, extension, stated.secrets)


def _one_line(message: str) -> bool:
    """Failures and whatever else these loggers say may have a stack trace."""
    stated = said("", message)
    return stated is not None and stated.success


SOURCE = Source(
    name="kafka_broker",
    title="Kafka broker log: start, stop, log levels, and the settings it runs with",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=in_turn(_read_line),
    loggers=(
        "kafka.server.KafkaRaftServer", "kafka.server.KafkaServer", "kafka.server.BrokerServer",
        "kafka.server.ControllerServer", "kafka.Kafka$",
        "org.apache.kafka.server.fault.ProcessTerminatingFaultHandler",
        "org.apache.kafka.common.utils.LoggingSignalHandler",
        "org.apache.kafka.common.utils.AppInfoParser",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizerData",
        "org.apache.kafka.common.config.AbstractConfig", "kafka.server.KafkaConfig",
        # Log levels.
        "kafka.server.ConfigAdminManager", "kafka.server.ControllerApis",
        "kafka.server.logger.RuntimeLoggerManager", "kafka.server.AdminManager",
        "kafka.server.ZkAdminManager",
    ),
    recognise=lambda text: text.startswith("KafkaConfig values: "),
    bears_secrets=True,
    one_line=_one_line,
    several_lines=lambda message: dumps(message) != "",
    shapes=("lifecycle", "failures", "levels", "settings", "settings_in_one_line", "strimzi_start",
            "authorizer_settings", "json_layouts", "zookeeper", "broken_dump"),
    blind_spots=(
        "Log levels set in the log4j2 file while the broker runs leave no line in its log.",
        "The level a logger had before is not said.",
        "A process that is killed, or loses its machine, does not say that it stops.",
    ),
)  # fmt: skip
