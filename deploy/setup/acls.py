"""Gives each role the rights that `auditstream topics plan` prints, and nobody any other.

    acls.py CONFIGURATION

Run by docker-compose.yml as `admin`, the one principal besides the broker that may do so. What is
there already is left; what is there beside it is said.
"""

import sys
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from pipeline.config import load
from pipeline.errors import AuditstreamError
from pipeline.runtimes.kafka.acls import acls, bindings, principals
from pipeline.runtimes.kafka.connection import client

_WAIT_S = 30


def main(configuration: Path) -> int:
    """Do it; returns the exit status."""
    streaming = load(configuration).kafka
    admin = AdminClient(client(streaming) | {"log_level": 0})
    # The library's stubs do not know that None stands for any.
    some: Any = None
    anything = AclBindingFilter(
        ResourceType.ANY,
        some,
        ResourcePatternType.ANY,
        some,
        some,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    there = set(admin.describe_acls(anything, request_timeout=_WAIT_S).result(2 * _WAIT_S))
    wanted = bindings(acls(streaming, principals([])))
    missing = [binding for binding in wanted if binding not in there]
    if missing:
        for done in admin.create_acls(missing, request_timeout=_WAIT_S).values():
            done.result(2 * _WAIT_S)
    print(f"{len(missing)} rights given, {len(wanted) - len(missing)} were there.")
    for binding in sorted(map(str, there - set(wanted))):
        print(f"There is also {binding}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except (AuditstreamError, KafkaException, TimeoutError) as error:
        sys.exit(f"acls.py: {error}")
