"""Maps types that are a connection with or without a dialogue: `port`, `smtp`, `websocket-upgrade`. Called by types."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from importers.errors import NotCarriedOver
from importers.job_draft import JobDraft
from importers.sources.kuma.monitors.monitor import KumaMonitor, put_common_parts
from jobs.problems import looks_secret

_NO_CONNECTION = [
    "connection_refused",
    "connect_timeout",
    "connection_reset",
    "connection_failed",
    "dns_failure",
    "dns_timeout",
]
_SMTP: list[dict[str, Any]] = [
    {"receive": "^220[ -]"},
    {"send": "EHLO scheduler\r\n"},
    {"receive": "(?m)^250 "},
]
_SMTP_STARTTLS: list[dict[str, Any]] = [*_SMTP, {"send": "STARTTLS\r\n"}, {"receive": "(?m)^220 "}, {"starttls": True}]
_STARTTLS: dict[int, list[dict[str, Any]]] = {
    25: _SMTP_STARTTLS,
    587: _SMTP_STARTTLS,
    2525: _SMTP_STARTTLS,
    143: [{"receive": r"^\* OK"}, {"send": "a001 STARTTLS\r\n"}, {"receive": "(?m)^a001 OK"}, {"starttls": True}],
    110: [{"receive": r"^\+OK"}, {"send": "STLS\r\n"}, {"receive": r"(?m)^\+OK.*"}, {"starttls": True}],
    21: [{"receive": "^220[ -]"}, {"send": "AUTH TLS\r\n"}, {"receive": "(?m)^234 "}, {"starttls": True}],
}
"""How TLS starts on the usual ports."""
_WEBSOCKET_KEY = "c2NoZWR1bGVyLXByb2JlIQ=="
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


def map_port(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a connection, with TLS if the monitor checks a certificate."""
    row = monitor.row
    alert = row.text("expected_tls_alert", "none") or "none"
    if alert != "none":
        raise NotCarriedOver(
            f"an expected alert of TLS ({alert}) has no equivalent",
            "expect {error: tls_failure} in a job of the kind tls",
        )
    draft = monitor.new_draft("tcp")
    put_host_and_port(monitor, draft)
    security = row.text("smtp_security")
    nodes = row.nodes("smtp_security", "ignore_tls")
    if security in ("secure", "starttls"):
        draft.put("check.tls", {"verify": not row.is_set("ignore_tls")}, *nodes)
        if security == "starttls":
            _put_starttls(draft, row.whole("port"))
    if row.is_set("upside_down"):
        draft.expect({"error": _NO_CONNECTION}, *row.nodes("upside_down"), how="expects that there is no connection")
    put_common_parts(monitor, draft, uses_timeout=False)
    return [draft]


def _put_starttls(draft: JobDraft, port: int) -> None:
    if port not in _STARTTLS:
        raise NotCarriedOver(f"how TLS starts on port {port} is not known", "write a dialogue with starttls")
    draft.put("check.dialogue", _STARTTLS[port])


def put_host_and_port(monitor: KumaMonitor, draft: JobDraft, default_port: int = 0) -> None:
    """Set `check.host` and `check.port`. Raises NotCarriedOver."""
    row = monitor.row
    host, port = row.text("hostname").strip(), row.whole("port") or default_port
    if not host or not 1 <= port <= 65535:
        raise NotCarriedOver("it has no valid host and port")
    draft.put("check.host", host, *row.nodes("hostname"))
    draft.put("check.port", port, *row.nodes("port"))


def map_smtp(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a dialogue with a mail server, which Uptime Kuma only greets, too."""
    row = monitor.row
    if row.is_set("upside_down"):
        raise NotCarriedOver(
            "upside down: the opposite of a dialogue is not known", "expect {error: connection_refused}"
        )
    draft = monitor.new_draft("tcp")
    put_host_and_port(monitor, draft, 25)
    security, nodes = row.text("smtp_security"), row.nodes("smtp_security")
    dialogue: list[dict[str, Any]] = list(_SMTP)
    if security == "starttls":
        dialogue = list(_STARTTLS[25])
    if security in ("secure", "starttls"):
        draft.put("check.tls", {"verify": True}, *nodes)
    else:
        how = "" if security == "nostarttls" else "without TLS, as STARTTLS is not required"
        draft.use(*nodes, how=how)
    draft.put("check.dialogue", dialogue)
    put_common_parts(monitor, draft, uses_timeout=False)
    return [draft]


def map_websocket(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add the request of an upgrade, as a dialogue. The answer must be 101 with the digest of its key."""
    row = monitor.row
    try:
        parts = urlsplit(row.text("url").strip())
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    except ValueError:
        raise NotCarriedOver("the URL is not valid") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise NotCarriedOver("the URL is not one of a WebSocket")
    if row.text("auth_method") or row.is_set("upside_down"):
        raise NotCarriedOver("a dialogue has neither credentials nor an opposite", "check the health URL of the server")
    draft = monitor.new_draft("tcp")
    draft.put("check.host", host, *row.nodes("url"), how="the request of the upgrade is a dialogue")
    draft.put("check.port", port)
    if parts.scheme == "wss":
        draft.put("check.tls", {"verify": not row.is_set("ignore_tls")}, *row.nodes("ignore_tls"))
    request = f"GET {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    request += f"Sec-WebSocket-Key: {_WEBSOCKET_KEY}\r\n{_read_extra_headers(monitor, draft)}\r\n"
    draft.put("check.dialogue", [{"send": request}, {"receive": _expected_answer(monitor, draft)}])
    accepted = row.nodes("accepted_statuscodes_json")
    draft.use(*accepted, how="the upgrade must succeed; the code with which the connection is closed is not checked")
    put_common_parts(monitor, draft, uses_timeout=True)
    return [draft]


def _expected_answer(monitor: KumaMonitor, draft: JobDraft) -> str:
    nodes = monitor.row.nodes("ws_ignore_sec_websocket_accept_header")
    draft.use(*nodes)
    if monitor.row.is_set("ws_ignore_sec_websocket_accept_header"):
        return r"^HTTP/1\.1 101 "
    digest = base64.b64encode(hashlib.sha1((_WEBSOCKET_KEY + _WEBSOCKET_GUID).encode()).digest()).decode()
    accept = digest.replace("+", r"\+").replace("/", r"\/")
    return rf"(?is)^HTTP/1\.1 101 .*\r\nSec-WebSocket-Accept: *{accept}\r\n"


def _read_extra_headers(monitor: KumaMonitor, draft: JobDraft) -> str:
    lines = ""
    protocols = "".join(monitor.row.text("ws_subprotocol").split())
    if protocols:
        lines += f"Sec-WebSocket-Protocol: {protocols}\r\n"
        draft.use(*monitor.row.nodes("ws_subprotocol"))
    for column in monitor.row.nodes("headers"):
        for header in column.children():
            if looks_secret(header.key) or not isinstance(header.value, str) or not header.value.isprintable():
                draft.drop(header, "a dialogue has no secret within a text", "check the health URL of the server")
            else:
                lines += f"{header.key}: {header.value}\r\n"
                draft.use(header)
    return lines
