"""Open a tunnel through a proxy by CONNECT (RFC 9110, section 9.3.6). Called by transport.py."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.checks.errors import IncompleteResponse, TunnelRefused
from jobs.checks.http_transport.http1 import find_head_end, parse_head
from jobs.checks.http_transport.protocol_detection import may_be_http1, not_http_error
from jobs.checks.net.connection import TargetConnection
from jobs.formats.host_ports import format_host_port


@dataclass(frozen=True, slots=True)
class ProxyEndpoint:
    """A proxy. `authorization`: the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str = ""


async def open_tunnel(connection: TargetConnection, proxy: ProxyEndpoint, host: str, port: int) -> None:
    """Let the proxy at the other end of this connection forward it to the host.

    Raises:
        TunnelRefused: the proxy refuses.
        ProtocolViolation: it is not a proxy.
        Exception: what reading raises.
    """
    place = format_host_port(host, port)
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    connection.marks_first_byte = False
    await connection.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    data = b""
    while (end := find_head_end(data)) is None:
        if data and not may_be_http1(data[:8]):
            raise not_http_error(connection.first_bytes)
        more = await connection.read()
        if not more:
            raise IncompleteResponse
        data += more
    if not may_be_http1(data[:8]):
        raise not_http_error(connection.first_bytes)
    head = parse_head(data[:end])
    if not 200 <= head.status < 300:
        raise TunnelRefused(head.status, place)
    connection.marks_first_byte = True
    connection.expect_response()
    if rest := data[end:]:
        connection.data_received(rest)  # the host behind the tunnel may send first, as in HTTP/2
