"""Maps types that are a connection with or without a dialogue (`port`, `smtp`, `websocket-upgrade`), and `dns`, with
conditions as one expression."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

from importers.ledger import JobDraft
from importers.source_tree import NotCarriedOver
from importers.sources.kuma.monitor import KumaMonitor, put_common_parts
from importers.sources.kuma.rows import parse_json_text
from jobs.problems import looks_secret
from jobs.targets.dns import RecordType

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


_MAX_CONDITIONS = 200
_ERRORS = ("NXDOMAIN", "SERVFAIL", "REFUSED")
_NO_ADDRESS = "a name server is an IP address: the first one of the machine is used"
_TESTS = {
    "equals": "a == {0}",
    "not_equals": "a != {0}",
    "contains": "a.contains({0})",
    "not_contains": "!a.contains({0})",
    "starts_with": "a.startsWith({0})",
    "not_starts_with": "!a.startsWith({0})",
    "ends_with": "a.endsWith({0})",
    "not_ends_with": "!a.endsWith({0})",
}


def map_dns(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a query of a name, whose answer must have a record."""
    row = monitor.row
    draft = monitor.new_draft("dns")
    draft.put("check.name", row.text("hostname").strip(), *row.nodes("hostname"))
    record_type = row.text("dns_resolve_type", "A").upper()
    if record_type not in get_args(RecordType):
        raise NotCarriedOver(f"records of the type {record_type} cannot be queried")
    draft.put("check.type", record_type, *row.nodes("dns_resolve_type"))
    _put_server(monitor, draft)
    port = row.whole("port", 53)
    if port in (0, 53):
        draft.use(*row.nodes("port"))
    else:
        draft.put("check.port", port, *row.nodes("port"))
    if row.is_set("upside_down"):
        how = "expects an answer with an error; no answer is a failure"
        draft.expect({"rcode": list(_ERRORS)}, *row.nodes("upside_down", "conditions"), how=how)
    else:
        draft.expect({"rcode": "NOERROR"})
        draft.expect({"answers": {"length": {"at_least": 1}}})
        _put_conditions(monitor, draft)
    put_common_parts(monitor, draft, uses_timeout=False)
    return [draft]


def _put_server(monitor: KumaMonitor, draft: JobDraft) -> None:
    nodes = monitor.row.nodes("dns_resolve_server")
    servers = [one for one in monitor.row.text("dns_resolve_server", "1.1.1.1").replace(" ", "").split(",") if one]
    addresses = [server for server in servers if _is_address(server)]
    if not addresses:
        draft.use(*nodes, how=_NO_ADDRESS)
        return
    how = f"only {addresses[0]} of {len(servers)} name servers is queried" if len(servers) > 1 else ""
    draft.put("check.server", addresses[0], *nodes, how=how)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _put_conditions(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Conditions hold if one record fulfils all of them."""
    nodes = monitor.row.nodes("conditions")
    if not nodes:
        return
    listed = parse_json_text(monitor.row.values.get("conditions"))
    if not isinstance(listed, list):
        raise NotCarriedOver("its conditions cannot be read")
    expression = _join(listed, [0])
    how = "records are compared as a name server writes them, such as `10 mail.example.` for MX"
    draft.expect({"cel": f"facts.answers.exists(a, {expression})"}, *nodes, how=how)


def _join(conditions: list[Any], count: list[int]) -> str:
    """Return an expression, from left to right, as Uptime Kuma evaluates them."""
    expression = ""
    for condition in conditions:
        count[0] += 1
        if not isinstance(condition, dict) or count[0] > _MAX_CONDITIONS:
            raise NotCarriedOver("its conditions cannot be read")
        test = _write_test(condition, count)
        operator = "||" if condition.get("andOr") == "or" else "&&"
        expression = f"({expression} {operator} {test})" if expression else test
    return expression or "true"


def _write_test(condition: dict[str, Any], count: list[int]) -> str:
    if condition.get("type") == "group":
        children = condition.get("children")
        return _join(children if isinstance(children, list) else [], count)
    test = _TESTS.get(str(condition.get("operator")))
    if test is None or condition.get("variable") != "record":
        raise NotCarriedOver("its conditions use an unknown operator or variable", "write an expression (cel)")
    return test.format(json.dumps(str(condition.get("value", "")), ensure_ascii=False))
