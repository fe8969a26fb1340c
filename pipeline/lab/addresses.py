"""Reserved addresses on the loopback interface, so that clients differ in their address.

Where this process may (Linux, root, Debian's `iproute2`), every client address is put on the
loopback interface and gets an address of the broker's own: what connects to that one is seen
as coming from the client. The two differ, so that a parser which reads the wrong half of a
connection's name is found out. Anywhere else all of them are 127.0.0.1, which callers read
from the result.
"""

import fcntl
import ipaddress
import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.lab.cache import cache_folder, locked

# RFC 5737. Clients are from the first two; the broker's own addresses from the third.
_CLIENT_NETWORKS = (
    ipaddress.IPv4Network("192.0.2.0/25"),
    ipaddress.IPv4Network("198.51.100.0/25"),
)
_BROKER_NETWORK = ipaddress.IPv4Network("203.0.113.0/24")
_HALF = 128

# Below the ports from which systems serve outgoing connections, which come and go too fast to
# ask whether one is free.
_PORTS = range(10_000, 30_000)


@dataclass(frozen=True, slots=True)
class Route:
    """How a client reaches the broker: the address that it calls, the one it is seen from."""

    broker: str
    client: str


@contextmanager
def routes(clients: Iterable[str]) -> Iterator[Mapping[str, Route]]:
    """A route for each client address, which is 127.0.0.1 for all where it must be.

    Raises `ValueError` for an address outside 192.0.2.0/25 and 198.51.100.0/25.
    """
    wanted = {client: Route(_broker_address(client), client) for client in clients}
    loopback = {client: Route("127.0.0.1", "127.0.0.1") for client in wanted}
    if not wanted or os.geteuid() != 0 or shutil.which("ip") is None:
        yield loopback
        return
    with locked(_lock(), fcntl.LOCK_SH) as lock:
        try:
            yield wanted if _add(wanted.values()) else loopback
        finally:
            _remove_unless_shared(lock.fileno())


def remove_left() -> None:
    """Take down what a process that was killed has left up, unless another needs some of it."""
    if os.geteuid() == 0 and shutil.which("ip") is not None:
        with locked(_lock(), fcntl.LOCK_SH) as lock:
            _remove_unless_shared(lock.fileno())


def _lock() -> Path:
    return cache_folder("servers") / "addresses.lock"


def _broker_address(client: str) -> str:
    address = ipaddress.IPv4Address(client)
    for half, network in enumerate(_CLIENT_NETWORKS):
        if address in network:
            offset = int(address) - int(network.network_address)
            return str(_BROKER_NETWORK[half * _HALF + offset])
    raise ValueError(f"{client} is in neither of {', '.join(map(str, _CLIENT_NETWORKS))}")


def _add(wanted: Iterable[Route]) -> bool:
    """Put the routes up; False where this host uses such an address or forbids changes."""
    used = _used_by_this_host()
    for route in wanted:
        if {route.broker, route.client} & used:
            return False
        if not (
            _ip("addr", "replace", f"{route.client}/32", "dev", "lo")
            and _ip(*_local_route("replace", route.broker), "src", route.client)
        ):
            return False
    return True


def _local_route(verb: str, broker: str) -> tuple[str, ...]:
    return ("route", verb, "local", f"{broker}/32", "dev", "lo", "table", "local")


def _used_by_this_host() -> set[str]:
    """Addresses that must be left alone: test machines do live in reserved networks."""
    interfaces = [link for link in _listed("addr") if link.get("ifname") != "lo"]
    own = {address["local"] for link in interfaces for address in link.get("addr_info", ())}
    gateways = {route["gateway"] for route in _listed("route") if "gateway" in route}
    return own | gateways | {neighbour["dst"] for neighbour in _listed("neigh")}


def _remove_unless_shared(lock: int) -> None:
    """Take all of them down again, unless another test run still needs some."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    for route in _listed("route", "show", "table", "local"):
        if route.get("dev") == "lo" and _is_in(route["dst"], _BROKER_NETWORK):
            _ip(*_local_route("del", route["dst"]))
    for link in _listed("addr", "show", "dev", "lo"):
        for address in link.get("addr_info", ()):
            if any(_is_in(address["local"], network) for network in _CLIENT_NETWORKS):
                _ip("addr", "del", f"{address['local']}/32", "dev", "lo")


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0


def _listed(*arguments: str) -> list[dict[str, Any]]:
    """What `ip` lists, as objects; nothing where it cannot."""
    done = subprocess.run(["ip", "-j", *arguments], capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, chosen at random so that test runs rarely collide."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            port = random.choice(_PORTS)
            with suppress(OSError):
                probe.bind(("0.0.0.0", port))
                found.append(port)
    return found
