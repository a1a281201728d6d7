"""Refuses every look-up and connection that would leave this machine. Switched on by tests/conftest.py.

    def test_...(network_guard: NetworkGuard) -> None:
        network_guard.attempts      # what was refused in this test; whatever is left here at its end fails the test
        network_guard.connects      # host and port of every connection that this test tried to make, allowed or not

- Loopback addresses, unix sockets, `localhost`, `*.localhost` and the machine's own name pass.
- Names under `.invalid` and the name `unknown.host` fail as an unknown host does: `socket.gaierror`.
- A numeric address may be looked up (nothing is sent), but only loopback may be connected to.
- All else raises `NetworkForbidden`, which names the address and is not an OSError: no client handles it as a failure.

Python's audit events reach every socket of this process, however it was imported; uvloop talks to libuv without
them, so its entry points are wrapped. Child processes are guarded when proc starts them.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable
from typing import Any

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_OWN_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback", socket.gethostname().lower()})
_UNKNOWN_HOSTS = ("invalid", "unknown.host")

REFUSED = "NETWORK FORBIDDEN"
"""How a line on stderr begins that reports an attempt in a child process."""


class NetworkForbidden(RuntimeError):
    """A test tried to leave this machine."""


class NetworkGuard:
    """One a process: an audit hook cannot be removed, only switched off."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.connects: list[tuple[str, int]] = []
        self.active = False
        self.announce = False
        self._installed = False

    def install(self) -> None:
        """Start guarding; a second call only switches it on again."""
        self.active = True
        if not self._installed:
            self._installed = True
            sys.addaudithook(self._on_event)
            _wrap_uvloop(self)

    def check_lookup(self, host: object) -> None:
        """Raises NetworkForbidden, or socket.gaierror for a name that is meant to be unknown."""
        name = _text(host).lower().rstrip(".")
        if not name or name in _OWN_NAMES or name.endswith(".localhost") or _is_numeric(name):
            return
        if name.endswith(_UNKNOWN_HOSTS):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self._refuse(f"look up {name!r}")

    def check_connect(self, host: object, port: object) -> None:
        """Raises NetworkForbidden unless the host is loopback."""
        name = _text(host)
        if not _is_numeric(name):
            self.check_lookup(name)
        elif not _is_loopback(name):
            self._refuse(f"connect to {name} port {port}")

    def _refuse(self, what: str) -> None:
        self.attempts.append(what)
        if self.announce:
            print(f"{REFUSED}: {what}", file=sys.stderr, flush=True)
        raise NetworkForbidden(f"tests stay on loopback, but something tried to {what}")

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in _LOOKUPS:
            self.check_lookup(arguments[0])
        elif event in _CONNECTS:
            address = arguments[1]
            if arguments[0].family in (socket.AF_INET, socket.AF_INET6) and address is not None:
                self.connects.append((_text(address[0]), address[1]))
                self.check_connect(address[0], address[1])


GUARD = NetworkGuard()


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _is_numeric(name: str) -> bool:
    if ":" in name:
        return True
    try:
        socket.inet_aton(name)
    except OSError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if ":" not in name:
        return socket.inet_aton(name)[0] == 127
    address = ipaddress.IPv6Address(name.split("%", 1)[0])
    return (address.ipv4_mapped or address).is_loopback


def _wrap_uvloop(guard: NetworkGuard) -> None:
    try:
        import uvloop
    except ImportError:
        return

    def guarded(name: str, check: Callable[[object, object], None]) -> None:
        original = getattr(uvloop.Loop, name)

        async def call(self: Any, *arguments: Any, **options: Any) -> Any:
            positional = arguments[1:3] if name == "create_connection" else arguments[0:1]
            host = options.get("host", positional[0] if positional else None)
            port = options.get("port", positional[1] if len(positional) > 1 else None)
            if guard.active and host is not None:
                check(host, port)
            return await original(self, *arguments, **options)

        setattr(uvloop.Loop, name, call)

    guarded("create_connection", guard.check_connect)
    guarded("getaddrinfo", lambda host, port: guard.check_lookup(host))
