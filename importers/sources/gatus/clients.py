"""The check of an endpoint by the scheme of its URL, its key `client`, and texts with variables of the environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from importers.http_requests import put_proxy, put_url
from importers.import_context import ImportContext
from importers.ledger import JobDraft, KeyHandler, drop_key, use_key
from importers.reading import read_boolean, read_list, read_optional_text, read_seconds, read_text, write_duration
from importers.source_tree import NotCarriedOver, SourceNode, SourceTree

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<braced>[^{}]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))")
_UNKNOWN = re.compile(r"\$\{([^{}]*)\}")


def expand_tree(tree: SourceTree, variables: Mapping[str, str]) -> SourceTree:
    """Return a tree with the values of known variables; `$$` is a dollar sign, unknown ones become `${NAME}`."""
    return SourceTree(tree.file, _expand(tree.value, variables), tree.line_of, tree.show_path)


def read_known_text(node: SourceNode) -> str:
    """Return a text without unknown variables. Raises NotCarriedOver."""
    text = read_text(node)
    if (found := _UNKNOWN.search(text)) is not None:
        raise NotCarriedOver(f"the value of the variable {found[1]} is not known", f"--set {found[1]}=VALUE")
    return text


def _expand(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _expand_text(value, variables) if "$" in value else value
    if isinstance(value, dict):
        return {key: _expand(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, variables) for one in value]
    return value


def _expand_text(text: str, variables: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match["braced"] if match["braced"] is not None else match["bare"]
        return variables.get(name, f"${{{name}}}")

    return _REFERENCE.sub(replace, text)


DEFAULT_TIMEOUT = 10.0
MAX_RUN = 8 * 60.0


def put_client(context: ImportContext, draft: JobDraft, client: SourceNode | None, kind: str) -> None:
    """Set timeout, TLS, redirects, proxy and OAuth 2 from the client of an endpoint."""
    draft.put("timeout", _timeouts(DEFAULT_TIMEOUT))
    if client is not None:
        draft.map_keys(client, _handlers(context, kind))


def _handlers(context: ImportContext, kind: str) -> dict[str, KeyHandler]:
    if kind == "http":
        own: dict[str, KeyHandler] = {
            "ignore-redirect": _put_redirects,
            "proxy-url": partial(_put_proxy, context),
            "oauth2": partial(_put_oauth2, context),
        }
    else:
        unused = use_key("Gatus does not use it for this kind of endpoint")
        own = dict.fromkeys(("ignore-redirect", "proxy-url", "oauth2"), unused)
    return {
        **own,
        "timeout": _put_timeout,
        "insecure": partial(_put_insecure, kind),
        "tls": partial(_put_certificate, context),
        "store-cookies": _put_cookies,
        "network": use_key("Gatus uses it for ping alone"),
        "dns-resolver": drop_key("a check resolves names by the machine's name server", "a dns check of that server"),
        "tunnel": drop_key("there are no SSH tunnels", "run the scheduler within that network"),
        "identity-aware-proxy": drop_key("there are no tokens of Google", "auth of kind oauth2"),
    }


def _timeouts(seconds: float) -> dict[str, str]:
    return {"attempt": write_duration(seconds), "run": write_duration(max(seconds, min(seconds + 5, MAX_RUN)))}


def _put_timeout(draft: JobDraft, node: SourceNode) -> None:
    seconds = read_seconds(node)
    if seconds < 0.001:
        draft.use(node, how="Gatus uses 10s for it")
        return
    how = "" if seconds <= MAX_RUN else "a run takes at most 8 minutes"
    draft.put("timeout", _timeouts(min(seconds, MAX_RUN)), node, how=how)


def _put_insecure(kind: str, draft: JobDraft, node: SourceNode) -> None:
    if kind == "dns" or (kind == "tcp" and draft.get("check.tls") is None):
        draft.use(node, how="there is no certificate in this kind of endpoint")
    elif read_boolean(node):
        draft.put("check.tls.verify", False, node)
    else:
        draft.use(node)


def _put_redirects(draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        draft.put("check.redirects", 0, node)
    else:
        draft.use(node)


def _put_cookies(draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        raise NotCarriedOver("cookies are not stored between runs", "kind: steps, with a cookie jar for each run")
    draft.use(node)


def _put_proxy(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    put_proxy(context, draft, read_known_text(node), node)


def _put_oauth2(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    url, client_id, secret = (node.child(key) for key in ("token-url", "client-id", "client-secret"))
    if url is None or client_id is None or secret is None:
        raise NotCarriedOver("token-url, client-id or client-secret is missing")
    purpose = f"client secret of {draft.name}"
    auth: dict[str, object] = {
        "kind": "oauth2",
        "token_url": read_known_text(url),
        "client_id": _text_or_secret(context, draft, client_id),
        "client_secret": context.secrets.reference(read_text(secret), f"{draft.name}-client-secret", purpose, secret),
    }
    scopes = node.child("scopes")
    if scopes is not None:
        auth["scope"] = " ".join(map(read_known_text, read_list(scopes)))
        draft.use(scopes)
    draft.put("check.auth", auth, url, client_id)
    draft.use(secret, how="the value becomes a secret")


def _text_or_secret(context: ImportContext, draft: JobDraft, node: SourceNode) -> object:
    text = read_text(node)
    if "${" not in text:
        return text
    return context.secrets.reference(text, f"{draft.name}-client-id", f"client id of {draft.name}", node)


def _put_certificate(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    files = [read_optional_text(node.child(key)) for key in ("certificate-file", "private-key-file")]
    if not all(files):
        raise NotCarriedOver("certificate-file or private-key-file is missing")
    purpose = f"client certificate of {draft.name} in PEM form: the content of {files[0]} and {files[1]}"
    reference = context.secrets.require(f"{draft.name}-client-certificate", purpose, node.child("certificate-file"))
    children = [child for child in node.children() if child.key in ("certificate-file", "private-key-file")]
    draft.put("check.tls.client_certificate", reference, *children, how="certificate and key become one secret")
    renegotiation = node.child("renegotiation")
    if renegotiation is not None:
        if read_optional_text(renegotiation) in ("", "never"):
            draft.use(renegotiation)
        else:
            draft.drop(renegotiation, "TLS is never renegotiated")


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
