"""Snapshots of what auditstream keeps in OpenSearch: taken, listed, and brought back.

    snapshot.py CONFIGURATION take
    snapshot.py CONFIGURATION list
    snapshot.py CONFIGURATION restore NAME

With the administrator's certificate, into the folder that opensearch.yml names (`path.repo`).
Brought back are indices that are not there: one that is, is never touched.
API: docs.opensearch.org, Snapshot APIs.
"""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from pipeline.config import load
from pipeline.errors import AuditstreamError, StoreError
from pipeline.sinks.opensearch_client import asked, connect

_REPOSITORY = "/_snapshot/auditstream"
# The first folder of path.repo itself.
_WHERE = {"type": "fs", "settings": {"location": "."}}
_OURS = "audit*"
_WHOLE = {"indices": _OURS, "include_global_state": False, "partial": False}
_WAIT = {"wait_for_completion": "true"}
_TIMEOUT_S = 24 * 3600


def know(client: OpenSearch) -> None:
    """Tell OpenSearch of the folder: one that was made anew does not know what is in it."""
    client.transport.perform_request("PUT", _REPOSITORY, body=_WHERE)


def take(client: OpenSearch) -> str:
    """Take one, of all indices of ours; its name."""
    name = f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}"
    _whole(name, _long(client, "PUT", f"{_REPOSITORY}/{name}", _WHOLE))
    return name


def taken(client: OpenSearch) -> list[tuple[str, str, int]]:
    """Name, state and number of indices of each, the oldest first."""
    found = client.transport.perform_request("GET", f"{_REPOSITORY}/_all")
    return [(one["snapshot"], one["state"], len(one["indices"])) for one in found["snapshots"]]


def restore(client: OpenSearch, name: str) -> list[str]:
    """Bring back what is not there; the names of those indices."""
    try:
        found = client.transport.perform_request("GET", f"{_REPOSITORY}/{name}")
    except NotFoundError:
        raise StoreError(f"there is no snapshot {name}; `list` says which there are") from None
    there = set(client.indices.get(index=_OURS, params={"expand_wildcards": "all"}))
    missing = sorted(set(found["snapshots"][0]["indices"]) - there)
    if missing:
        body = {"indices": ",".join(missing), "include_global_state": False}
        _whole(name, _long(client, "POST", f"{_REPOSITORY}/{name}/_restore", body))
    return missing


def _long(client: OpenSearch, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    params = _WAIT | {"request_timeout": _TIMEOUT_S}
    said = client.transport.perform_request(method, path, params=params, body=body)
    found: dict[str, Any] = said["snapshot"]
    return found


def _whole(name: str, said: dict[str, Any]) -> None:
    failed = said["shards"]["failed"]
    if failed:
        raise StoreError(
            f"{failed} of {said['shards']['total']} shards of the snapshot {name} failed: "
            "see OpenSearch's own log, and do it again"
        )


def main(arguments: list[str]) -> int:
    """Do it; returns the exit status."""
    match arguments:
        case [configuration, "take" | "list" as verb]:
            name = ""
        case [configuration, "restore" as verb, name]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    with closing(connect(load(Path(configuration)).opensearch)) as client:
        asked(client, "use the folder of snapshots", lambda: know(client))
        if verb == "take":
            print(asked(client, "take a snapshot", lambda: take(client)))
        elif verb == "list":
            for found, state, count in asked(client, "list snapshots", lambda: taken(client)):
                print(f"{found}  {state}  {count} indices")
        else:
            brought = asked(client, "restore a snapshot", lambda: restore(client, name))
            print("\n".join([*brought, f"{len(brought)} indices brought back."]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AuditstreamError as error:
        sys.exit(f"snapshot.py: {error}")
