"""Where this program, or the host that runs it, serves its API: never a target. Used by guard.py, built by
config.check_rules.

The API accepts every request from this machine, so a job that could reach it could pause, run or read all other jobs.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from jobs.checks.guard.addresses import IPAddress

LIVE_PATH = "/api/health/live"
"""The one path of the own API that a job may request, by GET or HEAD.

Served by scheduler.api.lazy_app and scheduler.hosts.functions.liveness.

The response is always the same, and the first job of many users requests it.
"""


@dataclass(frozen=True)
class OwnEndpoint:
    """A port on which the program listens.

    `host`: the address or name that it listens on; `0.0.0.0` and `::` mean every address of the machine.
    """

    host: str
    port: int

    def matches_address(self, address: IPAddress, port: int) -> bool:
        """Return whether a connection to this address and port may reach the program."""
        if port != self.port:
            return False
        own = self._address
        if own is None or own.is_loopback:
            return address.is_loopback
        return address == own or (own.is_unspecified and (address.is_loopback or is_local_address(address)))

    def matches_name(self, host: str, port: int) -> bool:
        """Return whether this name (lower case, no dot at its end) and port mean the program, without a DNS query."""
        return port == self.port and host == machine_name()

    @cached_property
    def _address(self) -> IPAddress | None:
        """None for a name, which is localhost."""
        with suppress(ValueError):
            return ip_address(self.host)
        return None


def machine_name() -> str:
    """Return the machine's own name in the form that comparisons use."""
    return socket.gethostname().lower().rstrip(".")


def is_local_address(address: IPAddress) -> bool:
    """Return whether the machine has this address: only then can a socket be bound to it. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
