"""The host and port of a connection. Used by all of jobs.checks that connects or words messages."""

from __future__ import annotations

from jobs.fast_frozen import fast_frozen
from jobs.formats.host_ports import format_host_port, host_and_port


@fast_frozen(frozen=True, slots=True)
class Peer:
    """The other side of a connection; as text `db.internal:5432` or `[::1]:5432`."""

    host: str
    port: int
    server_name: str = ""
    """The name in the TLS handshake, if it is not the host."""

    @property
    def tls_name(self) -> str:
        """The name that its certificate must be valid for."""
        return self.server_name or self.host

    def __str__(self) -> str:
        return format_host_port(self.host, self.port)


def peer_of_url(url: str) -> Peer:
    """Return the peer of a URL."""
    return Peer(*host_and_port(url))
