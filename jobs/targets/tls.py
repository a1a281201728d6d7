"""The target of a TLS check: a handshake. Used by jobs.checks.kinds.tls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from jobs.expectations.entry import Feature
from jobs.formats import format_host_port
from jobs.model_base import FrozenModel
from jobs.policies import Timeouts
from jobs.targets.endpoints import Destination, Host, HostPort, IpVersion, Port
from jobs.targets.http import TlsOptions


class TlsTarget(FrozenModel):
    """A TLS handshake with a port.

    The certificate must be valid for `server_name` (default: the host) and issued by a trusted authority.
    `minimum_version`: the lowest version of TLS that the session can have.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=10.0, run=30.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION, Feature.CONNECTION, Feature.CERTIFICATE})

    kind: Literal["tls"]
    host: Host
    port: Port = 443
    server_name: Host | None = None
    ip_version: IpVersion | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    tls: TlsOptions = Field(default_factory=TlsOptions)

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history."""
        return f"tls://{format_host_port(self.host, self.port)}"

    @property
    def label(self) -> str:
        """The target as messages and pages name it."""
        return f"TLS {format_host_port(self.host, self.port)}"

    @property
    def idempotent(self) -> bool:
        """Always true."""
        return True

    def destinations(self) -> Iterator[Destination]:
        """Yield what a check connects to."""
        yield HostPort(self.host, self.port)
