"""A door before a server: whoever goes through it comes to the server, until it is closed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self


class Door:
    """Forwards TCP connections to an address of this machine. Its own port stays the same.

    Closed, it lets nobody in: connections are refused, as those to a server that is away.
    """

    def __init__(self, behind: int, host: str = "127.0.0.1", at: str = "127.0.0.1") -> None:
        self._behind, self._at = (host, behind), at
        self.port = 0
        self._listening: socket.socket | None = None
        self._inside: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Let everybody in."""
        self._listening = socket.create_server((self._at, self.port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._let_in, args=(self._listening,), daemon=True).start()

    def close(self) -> None:
        """Let nobody in. Whoever is inside may finish."""
        if self._listening is not None:
            # A thread that waits in accept() is woken by this alone.
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None

    def slam(self) -> None:
        """Let nobody in, and cut off whoever is inside."""
        self.close()
        for one in list(self._inside):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _let_in(self, listening: socket.socket) -> None:
        while True:
            try:
                guest, _ = listening.accept()
            except OSError:
                return
            try:
                host = socket.create_connection(self._behind)
            except OSError:
                guest.close()
                continue
            threading.Thread(target=self._attend, args=(guest, host), daemon=True).start()

    def _attend(self, guest: socket.socket, host: socket.socket) -> None:
        self._inside |= {guest, host}
        back = threading.Thread(target=_carry, args=(host, guest), daemon=True)
        back.start()
        _carry(guest, host)
        back.join()
        self._inside -= {guest, host}
        guest.close()
        host.close()


def _carry(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
