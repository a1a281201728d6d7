"""The check of an endpoint by the scheme of its URL. Called by endpoints."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from importers.errors import NotCarriedOver
from importers.import_context import ImportContext
from importers.job_draft import JobDraft
from importers.ledger import SourceNode
from importers.sources.gatus.clients import read_known_text
from importers.values.http_requests import put_url
from importers.values.reading import read_optional_text, read_text

NOT_KNOWN = {
    "icmp": ("there is no check by ping", "a check of kind tcp of a port that is always open"),
    "udp": ("there is no check by UDP", "a check of kind dns, if it is a name server"),
    "sctp": ("there is no check by SCTP", "a check of kind tcp"),
    "grpc": ("there is no check by gRPC", "a check of kind tcp, or of an HTTP health endpoint"),
    "grpcs": ("there is no check by gRPC", "a check of kind tls, or of an HTTP health endpoint"),
    "ws": ("there is no check by WebSocket", "a check of kind tcp, or of an HTTP health endpoint"),
    "wss": ("there is no check by WebSocket", "a check of kind tls, or of an HTTP health endpoint"),
}
_EHLO: list[dict[str, object]] = [
    {"receive": "(?m)^220 "},
    {"send": "EHLO localhost\r\n"},
    {"receive": "(?m)^250 "},
    {"send": "STARTTLS\r\n"},
    {"receive": "(?m)^220 "},
    {"starttls": True},
]


def find_kind(endpoint: SourceNode) -> str:
    """Return the kind of check: http, tcp, tls or dns. Raises NotCarriedOver."""
    if endpoint.child("dns") is not None:
        return "dns"
    url = endpoint.child("url")
    if url is None or not isinstance(url.value, str):
        raise NotCarriedOver("the endpoint has no URL")
    scheme = url.value.partition("://")[0] if "://" in url.value else ""
    if scheme in NOT_KNOWN:
        raise NotCarriedOver(*NOT_KNOWN[scheme])
    if scheme == "ssh" and any(_ssh_value(endpoint, key) for key in ("username", "password", "private-key")):
        raise NotCarriedOver("no command is run by SSH", "a check of kind tcp that receives ^SSH-, and a heartbeat")
    kinds = {"http": "http", "https": "http", "tcp": "tcp", "starttls": "tcp", "ssh": "tcp", "tls": "tls"}
    if scheme not in kinds:
        read_known_text(url)
        raise NotCarriedOver("Gatus does not know the scheme of the URL")
    return "tcp" if scheme == "tls" and _has_body(endpoint) else kinds[scheme]


def put_target(context: ImportContext, draft: JobDraft, endpoint: SourceNode, kind: str) -> None:
    """Set the check. Raises NotCarriedOver: the endpoint cannot be checked."""
    url = endpoint.child("url")
    if url is None:
        raise NotCarriedOver("the endpoint has no URL")
    draft.put("check.kind", kind)
    if kind == "dns":
        _put_dns(draft, endpoint, url)
    elif kind == "http":
        text = read_text(url)
        put_url(context, draft, text if "?" in text or "#" in text else read_known_text(url), url)
    else:
        _put_connection(draft, endpoint, url, kind)


def _ssh_value(endpoint: SourceNode, key: str) -> str:
    return read_optional_text(endpoint.child("ssh", key))


def _has_body(endpoint: SourceNode) -> bool:
    return bool(read_optional_text(endpoint.child("body")))


def _put_connection(draft: JobDraft, endpoint: SourceNode, url: SourceNode, kind: str) -> None:
    scheme, _, address = read_known_text(url).partition("://")
    host, port = _split_address(address, 22 if scheme == "ssh" else None)
    draft.put("check.host", host, url)
    draft.put("check.port", port, url)
    body = endpoint.child("body")
    if scheme == "ssh":
        draft.put("check.dialogue", [{"receive": "(?s)."}])
    elif scheme == "starttls":
        draft.put("check.dialogue", [dict(line) for line in _EHLO])
        draft.put("check.tls", {"verify": True})
    elif body is not None and _has_body(endpoint):
        text = read_known_text(body)
        if "[LOCAL_ADDRESS]" in text or "[RANDOM_STRING_" in text:
            raise NotCarriedOver("the body has a value that is made for each run", "a fixed text")
        draft.put("check.dialogue", [{"send": fill_body(text, endpoint)}, {"receive": "(?s)."}], body)
        if scheme == "tls":
            draft.put("check.tls", {"verify": True})


def _split_address(address: str, default: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address.rstrip('/')}")
        port = parts.port or default
    except ValueError:
        raise NotCarriedOver("the URL is not a host and a port") from None
    if not parts.hostname or port is None:
        raise NotCarriedOver("the URL is not a host and a port")
    return parts.hostname, port


def _put_dns(draft: JobDraft, endpoint: SourceNode, url: SourceNode) -> None:
    server = read_known_text(url).removeprefix("dns://")
    host, port = _split_address(server if ":" in server else f"{server}:53", 53)
    draft.put("check.server", host, url)
    if port != 53:
        draft.put("check.port", port, url)
    name, kind = endpoint.child("dns", "query-name"), endpoint.child("dns", "query-type")
    if name is None or kind is None:
        raise NotCarriedOver("the DNS query has no name or no type")
    text, record_type = read_known_text(name), read_known_text(kind).upper()
    how = ""
    if record_type == "PTR":
        try:
            text, how = ipaddress.ip_address(text.rstrip(".")).reverse_pointer, "the name of the address"
        except ValueError:
            how = ""
    draft.put("check.name", text.rstrip(".") or ".", name, how=how)
    draft.put("check.type", record_type, kind)


def fill_body(text: str, endpoint: SourceNode) -> str:
    """Replace the placeholders of Gatus in a body that are the same in each run."""
    for placeholder, key in (("[ENDPOINT_NAME]", "name"), ("[ENDPOINT_GROUP]", "group"), ("[ENDPOINT_URL]", "url")):
        text = text.replace(placeholder, read_optional_text(endpoint.child(key)))
    return text
