"""Whether a role of OpenSearch suffices for some work, and what of it that work could do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import AuthorizationException

from pipeline.errors import StoreError
from pipeline.lab.opensearch import OpenSearch
from pipeline.sinks.opensearch_roles import roles

API = "/_plugins/_security/api"
Work = Callable[[OpenSearch], None]


def ask(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.transport.perform_request(method, path, body=body)


def given(admin: Client, role: str, user: str) -> None:
    ask(admin, "PUT", f"{API}/rolesmapping/{role}", {"users": [user]})


def fails(work: Work, node: OpenSearch, admin: Client) -> bool:
    """Whether any of the work cannot be done, giving back points in time among it."""
    try:
        work(node)
    except (StoreError, AuthorizationException, AssertionError):
        return True
    finally:
        left = ask(admin, "GET", "/_search/point_in_time/_all").get("pits", ())
        if left:
            ask(admin, "DELETE", "/_search/point_in_time/_all")
    return bool(left)


def spared(role: str, work: Work, node: OpenSearch, admin: Client) -> list[str]:
    """Permissions and indices of a role without any one of which the work can be done."""
    body, out = roles()[role], []
    for permission, less in with_less(body):
        ask(admin, "PUT", f"{API}/roles/{role}", less)
        if not fails(work, node, admin):
            out.append(permission)
    ask(admin, "PUT", f"{API}/roles/{role}", body)
    return out


def with_less(role: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The role without each of its permissions, and without each of its indices."""
    for number, permission in enumerate(role["cluster_permissions"]):
        less = deepcopy(role)
        del less["cluster_permissions"][number]
        yield permission, less
    for place, granted in enumerate(role["index_permissions"]):
        for kind in ("allowed_actions", "index_patterns"):
            for number, one in enumerate(granted[kind]):
                less = deepcopy(role)
                del less["index_permissions"][place][kind][number]
                yield f"{one} ({place})", less
