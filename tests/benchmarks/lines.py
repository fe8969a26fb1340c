"""Lines of administration, as many as a benchmark wants."""

from __future__ import annotations

from collections.abc import Iterator

from tests.request_log import line

_CONTROLLER = "org.apache.kafka.controller.AclControlManager"


def request_lines(count: int) -> Iterator[str]:
    """An ACL created, again and again, each request by the client and as it was passed on."""
    for n in range(count):
        acl = {
            "resourceType": 2, "resourceName": f"topic-{n // 2 % 500}", "resourcePatternType": 3,
            "principal": f"User:app-{n // 2 % 200}", "host": "*", "operation": 3,
            "permissionType": 3,
        }  # fmt: skip
        answer = {"throttleTimeMs": 0, "results": [{"errorCode": 0, "errorMessage": ""}]}
        asked = {"creations": [acl]}
        yield line(
            "CreateAcls", asked, answer, correlation=n // 2, forwarded=not n % 2, second=n % 60
        )


def controller_lines(count: int) -> Iterator[str]:
    """The records of such ACLs, as the controller writes them."""
    for n in range(count):
        acl = (
            f"StandardAcl(resourceType=TOPIC, resourceName=topic-{n % 500}, patternType=LITERAL, "
            f"principal=User:app-{n % 200}, host=*, operation=READ, permissionType=ALLOW)"
        )
        yield (
            f"[2026-11-20 23:52:{n % 60:02d},297] INFO [QuorumController id=1] Replayed "
            f"AccessControlEntryRecord for Z6aCTrZzQbiDuRSvNuIvYw, setting {acl} ({_CONTROLLER})"
        )
