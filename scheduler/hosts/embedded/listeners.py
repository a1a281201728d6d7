"""Opens the listening sockets of the embedded host. Called by host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scheduler.hosts.embedded.sample_target import SAMPLE_PORT

ACCEPT_BACKLOG = 256
"""Connections that wait to be accepted. All are accepted before any is closed because of the limit."""


class PortInUse(Exception):
    """Another process uses the address; the message names it and the remedy."""


@contextmanager
def open_listener(host: str, port: int) -> Iterator[socket.socket]:
    """Open a listening socket, before any other part, so that a second start fails at once.

    Clients that connect early wait until the program is ready. Raises PortInUse.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two processes can bind one address until one of them listens: only `listen` fails in the other.
            listener.listen(ACCEPT_BACKLOG)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another port with --port"
            ) from error
        listener.setblocking(False)
        yield listener


@contextmanager
def open_sample_listener() -> Iterator[socket.socket]:
    """Open a socket for the sample target on its default port, or on a free one if that is in use."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(open_listener("127.0.0.1", SAMPLE_PORT))
        except PortInUse:
            listener = stack.enter_context(open_listener("127.0.0.1", 0))
        yield listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL of the socket; on loopback if it listens on every address."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
