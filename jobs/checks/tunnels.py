"""Through a proxy to a host behind it: a tunnel by CONNECT (RFC 9110, section 9.3.6). Called by transport.py."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.checks.connection import Connection
from jobs.checks.errors import IncompleteResponse, TunnelRefused
from jobs.checks.http1 import end_of_head, read_head
from jobs.checks.spoken import begins_as_http, not_http
from jobs.targets.places import peer_text


@dataclass(frozen=True, slots=True)
class Proxy:
    """Whom to ask in a target's place. `authorization`: the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: str = ""


async def open_tunnel(connection: Connection, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end of this connection lead it on to there.

    Raises:
        TunnelRefused: the proxy refuses.
        NotHttp, MalformedResponse, HeadTooLarge, IncompleteResponse: it is no proxy.
        Exception: whatever reading raises.
    """
    place = peer_text(host, port)
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    connection.marks = False
    await connection.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    data = b""
    while (end := end_of_head(data)) is None:
        if data and not begins_as_http(data[:8]):
            raise not_http(connection.first)
        more = await connection.read()
        if not more:
            raise IncompleteResponse
        data += more
    if not begins_as_http(data[:8]):
        raise not_http(connection.first)
    head = read_head(data[:end])
    if not 200 <= head.status < 300:
        raise TunnelRefused(head.status, place)
    connection.marks = True
    connection.expect()
    if rest := data[end:]:
        connection.data_received(rest)  # who is behind the tunnel speaks first, as HTTP/2 does
