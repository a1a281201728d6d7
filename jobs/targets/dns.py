"""The target of a DNS check: a query to a name server. Used by jobs.checks.kinds.dns."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from jobs.expectations.entry import Feature
from jobs.formats import format_host_port
from jobs.model_base import FrozenModel
from jobs.policies import Timeouts
from jobs.targets.endpoints import Destination, HostPort, Port, refuse_placeholder

RecordType = Literal[
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"
]


def _check_name(name: str) -> str:
    refuse_placeholder(name)
    labels = name.rstrip(".").split(".")
    if name != "." and any(not label or len(label.encode()) > 63 for label in labels):
        raise ValueError(f"{name!r} is not a name: its labels have 1 to 63 characters, separated by dots")
    if any(sign.isspace() or sign in "/:@" for sign in name):
        raise ValueError(f"{name!r} is not a name: write only the name, like checkout.internal")
    return name


def _check_server(server: str) -> str:
    try:
        ipaddress.ip_address(server)
    except ValueError:
        raise ValueError(f"{server!r} is not an IP address: write that of the name server, like 10.0.0.4") from None
    return server


class DnsTarget(FrozenModel):
    """One query to a name server. `server`: its address; default: the first name server of this machine.

    By UDP, and again by TCP if the answer does not fit; `protocol: tcp` uses TCP at once.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION, Feature.DNS_ANSWER})

    kind: Literal["dns"]
    name: Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_check_name)]
    type: RecordType = "A"
    server: Annotated[str, AfterValidator(_check_server)] | None = None
    port: Port = 53
    protocol: Literal["udp", "tcp"] = "udp"

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history."""
        at = f"{format_host_port(self.server, self.port)}/" if self.server is not None else "/"
        return f"dns://{at}{self.name}?type={self.type}"

    @property
    def label(self) -> str:
        """The target as messages and pages name it: `DNS A checkout.internal at 10.0.0.4:53`."""
        at = f" at {format_host_port(self.server, self.port)}" if self.server is not None else ""
        return f"DNS {self.type} {self.name}{at}"

    @property
    def idempotent(self) -> bool:
        """Always true."""
        return True

    def destinations(self) -> Iterator[Destination]:
        """Yield the name server, if the job names one."""
        if self.server is not None:
            yield HostPort(self.server, self.port)
