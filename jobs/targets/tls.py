"""What a TLS check asks: a handshake, and the certificates in it. The check itself is jobs/checks/kinds/tls.py."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from jobs.model_base import FrozenModel
from jobs.policies import Timeouts
from jobs.targets.endpoint_types import Host, IpVersion, Port, format_host_port
from jobs.targets.http import TlsOptions


class TlsTarget(FrozenModel):
    """A handshake with a port, nothing more.

    The certificate must be valid for `server_name` (the host if it is not said), by an authority that is trusted.
    `minimum_version`: what the session must have at least.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=10.0, run=30.0)

    kind: Literal["tls"]
    host: Host
    port: Port = 443
    server_name: Host | None = None
    ip_version: IpVersion | None = None
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    tls: TlsOptions = Field(default_factory=TlsOptions)

    @property
    def endpoint(self) -> str:
        """The target for logs and history."""
        return f"tls://{format_host_port(self.host, self.port)}"

    @property
    def idempotent(self) -> bool:
        """Asking again does no harm."""
        return True
