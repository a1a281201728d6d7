"""Maps the types `http`, `keyword` and `json-query`, whose request and credentials they share.

`map_http`, in the second half, shows what is mapped. `monitor.row` is the row of a monitor in the database of Uptime
Kuma: `text`, `whole` and `is_set` read a column, and `nodes` returns the columns that have a value. A method of the job
draft records what became of these: `put` sets a key of the job, `expect` adds an expectation, `use` records a value
that needs no key, and `drop` one without an equivalent. importers.ledger explains why each value is recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from importers.http_requests import put_basic_auth, put_bearer_auth, put_body, put_header, put_url
from importers.ledger import JobDraft
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.kuma.monitor import KumaMonitor, put_common_parts

_CA_HINT = "write the certificates to a file, and name it in check.tls.ca_file"


def put_credentials(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set `auth`. Raises NotCarriedOver: without its credentials, the job would be another check."""
    row = monitor.row
    method = row.text("auth_method")
    nodes = row.nodes("auth_method")
    if method == "basic" or (not method and row.text("basic_auth_user") and "auth_method" not in row.values):
        nodes = [*row.nodes("basic_auth_pass", "basic_auth_user"), *nodes]  # the first one is the place of the secret
        put_basic_auth(monitor.context, draft, row.text("basic_auth_user"), row.text("basic_auth_pass"), *nodes)
    elif method == "bearer":
        put_bearer_auth(monitor.context, draft, row.text("bearer_token"), *row.nodes("bearer_token"), *nodes)
    elif method == "oauth2-cc":
        _put_oauth2(monitor, draft)
    elif method == "mtls":
        _put_client_certificate(monitor, draft)
    elif method == "ntlm":
        raise NotCarriedOver("there is no NTLM authentication", "offer Basic or a bearer token for the monitoring")
    elif method and method != "null":
        raise NotCarriedOver(f"the authentication {method} is not known")


def _put_oauth2(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    client_secret = monitor.context.secrets.reference(
        row.text("oauth_client_secret"),
        f"{draft.name}-client-secret",
        f"client secret of {draft.name}",
        next(iter(row.nodes("oauth_client_secret")), None),
    )
    auth: dict[str, Any] = {
        "kind": "oauth2",
        "token_url": row.text("oauth_token_url"),
        "client_id": row.text("oauth_client_id"),
        "client_secret": client_secret,
    }
    auth |= {key: row.text(f"oauth_{column}") for key, column in (("scope", "scopes"), ("audience", "audience"))}
    if row.text("oauth_auth_method") == "client_secret_post":
        auth["style"] = "body"
    columns = ("auth_method", "oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes")
    nodes = row.nodes(*columns, "oauth_audience", "oauth_auth_method")
    written = {key: value for key, value in auth.items() if value}
    draft.put("check.auth", written, *nodes, how="the client secret becomes a secret")


def _put_client_certificate(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    certificate, key = row.text("tls_cert"), row.text("tls_key")
    if certificate and key:
        reference = monitor.context.secrets.reference(
            f"{certificate.strip()}\n{key.strip()}\n",
            f"{draft.name}-client-certificate",
            f"client certificate and unencrypted key of {draft.name}, one after the other, in PEM form",
            next(iter(row.nodes("tls_cert")), None),
        )
        nodes = row.nodes("auth_method", "tls_cert", "tls_key")
        draft.put("check.tls.client_certificate", reference, *nodes, how="certificate and key become one secret")
    else:
        draft.use(*row.nodes("auth_method"))
    for node in row.nodes("tls_ca"):
        draft.drop(node, "a job file contains no certificates", _CA_HINT)


def put_proxy(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set the proxy of the monitor. Raises NotCarriedOver."""
    row = monitor.row
    nodes = row.nodes("proxy_id")
    if not nodes:
        return
    proxy = monitor.rows.find("proxy", row.values.get("proxy_id"))
    if proxy is None or not proxy.is_set("active"):
        draft.use(*nodes, how="no proxy: it does not exist, or is not active")
        return
    protocol = proxy.text("protocol")
    if protocol not in ("http", "https"):
        raise NotCarriedOver(f"there are no proxies of the protocol {protocol}", "use an HTTP proxy")
    how = "" if protocol == "http" else "the connection to the proxy itself is not encrypted"
    used = proxy.nodes("protocol", "host", "port", "auth")
    url = f"http://{proxy.text('host')}:{proxy.whole('port')}"
    draft.put("check.proxy", url, *nodes, *used, how=how)
    if proxy.is_set("auth"):
        password = monitor.context.secrets.reference(
            proxy.text("password"),
            f"proxy-{proxy.text('host')}-password",
            f"password of the proxy {proxy.text('host')}",
            next(iter(proxy.nodes("password")), None),
        )
        credentials = {"username": proxy.text("username"), "password": password}
        nodes = proxy.nodes("username", "password")
        draft.put("check.proxy_auth", credentials, *nodes, how="the password becomes a secret")


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH_STEP = re.compile(
    rf"\.?(?P<name>{_NAME})|\.?`(?P<quoted>[^`]+)`|\[(?P<index>-?\d+)\]|\.?\[\"(?P<text>[^\"\\]+)\"\]"
)
"""A step of a path: `.name`, a name in backquotes, `[0]` or `["name"]`."""
_NEAREST = "write the query as a JSONPath (RFC 9535), or as an expression (cel)"
"""What the user can do instead."""
_NUMERIC = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


def put_json_query(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Expect what the query compares with. Raises NotCarriedOver: without it, the job would check less."""
    row = monitor.row
    query, operator, expected = (
        row.text("json_path"),
        row.text("json_path_operator") or "==",
        row.text("expected_value"),
    )
    path = convert_jsonata(query)
    comparison = _convert_comparison(operator, expected)
    nodes = row.nodes("json_path", "json_path_operator", "expected_value")
    draft.expect({"json": path, **comparison}, *nodes, how=f"the JSONata query is the JSONPath {path}")


def convert_jsonata(query: str) -> str:
    """Return the JSONPath of a JSONata query that is a path of names and indexes. Raises NotCarriedOver."""
    text = query.strip()
    # `$` is the document; `$name` is a variable or a function, which no step matches.
    if text.startswith("$") and not re.match(r"\$[A-Za-z_$]", text):
        text = text[1:]
    path, at = "$", 0
    while at < len(text):
        step = _PATH_STEP.match(text, at)
        # `$[0]` is an index, and `[0]` at the beginning makes an array.
        if step is None or (at == 0 and step[0].startswith("[") and text != query.strip()[1:]):
            raise NotCarriedOver("the query uses more of JSONata than names and indexes", _NEAREST)
        if step["index"] is not None:
            path += f"[{int(step['index'])}]"
        elif step["name"] is not None:
            path += f".{step['name']}"
        else:
            name = (step["quoted"] or step["text"]).replace("\\", "\\\\").replace("'", "\\'")
            path += f"['{name}']"
        at = step.end()
    return path


def _convert_comparison(operator: str, expected: str) -> dict[str, Any]:
    """Return the keys of the expectation. Raises NotCarriedOver.

    Uptime Kuma compares texts: `5` and `true` of a document are the texts 5 and true.
    """
    if operator in _NUMERIC:
        try:
            number = float(expected)
        except ValueError:
            raise NotCarriedOver(f"{operator} compares with a number, and the expected value is a text") from None
        return {_NUMERIC[operator]: int(number) if number.is_integer() else number}
    if operator == "contains":
        return {"contains": expected}
    if operator not in ("==", "!="):
        raise NotCarriedOver(f"the operator {operator} is not known", _NEAREST)
    return _equal_text(expected, is_negated=operator == "!=")


def _equal_text(expected: str, *, is_negated: bool) -> dict[str, Any]:
    if re.fullmatch(r"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", expected):
        # `like` compares with the JSON text of a value, `equals` with the value itself.
        return {"not_like" if is_negated else "like": expected}
    return {"not_equals" if is_negated else "equals": expected}


_MAX_REDIRECTS = 30
_MAX_BODY = 16 * 1024
"""Bytes. Both are limits of a job file."""
_BODY_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "text/xml; charset=utf-8",
}


def map_http(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add the job of a type `http`, `keyword` or `json-query`."""
    draft = monitor.new_draft("http")
    put_request(monitor, draft)
    row = monitor.row
    if row.is_set("upside_down"):
        put_upside_down(monitor, draft)
    else:
        put_accepted_statuses(monitor, draft)
        if row.text("type") == "keyword":
            _put_keyword(monitor, draft)
        elif row.text("type") == "json-query":
            put_json_query(monitor, draft)
    _put_stored_body(monitor, draft)
    put_common_parts(monitor, draft, uses_timeout=True)
    return [draft]


def put_request(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set URL, method, headers, body, credentials, redirects and connection."""
    row, context = monitor.row, monitor.context
    put_url(context, draft, row.text("url"), *row.nodes("url"))
    method = row.text("method", "GET").upper()
    if method != "GET":
        draft.put("check.method", method, *row.nodes("method"))
    put_headers(monitor, draft)
    _put_body(monitor, draft)
    put_credentials(monitor, draft)
    redirects = row.whole("maxredirects", 10)
    if redirects != 10:
        how = "" if redirects <= _MAX_REDIRECTS else f"at most {_MAX_REDIRECTS}"
        draft.put("check.redirects", min(max(redirects, 0), _MAX_REDIRECTS), *row.nodes("maxredirects"), how=how)
    if row.is_set("ignore_tls"):
        draft.put("check.tls.verify", False, *row.nodes("ignore_tls"))
    put_proxy(monitor, draft)
    if row.text("ip_family") in ("ipv4", "ipv6") and draft.get("check.proxy") is None:
        draft.put("check.ip_version", int(row.text("ip_family")[-1]), *row.nodes("ip_family"))
    for node in row.nodes("cache_bust"):
        draft.drop(node, "no parameter of a request is random", "send the header Cache-Control: no-cache")


def put_headers(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set the headers, a JSON object."""
    for node in monitor.row.nodes("headers"):
        if not isinstance(node.value, dict):
            draft.drop(node, "is not a JSON object of headers")
            continue
        for header in node.children():
            _put_one_header(monitor, draft, header)


def _put_one_header(monitor: KumaMonitor, draft: JobDraft, header: SourceNode) -> None:
    if isinstance(header.value, (dict, list)) or header.value is None:
        draft.drop(header, "the value of a header is a text")
        return
    value = json.dumps(header.value) if not isinstance(header.value, str) else header.value
    try:
        put_header(monitor.context, draft, header.key, value, header)
    except NotCarriedOver as error:
        draft.drop(header, error.why, error.nearest)


def _put_body(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    text, encoding = row.text("body"), row.text("http_body_encoding") or "json"
    if not text.strip():
        return
    nodes = row.nodes("body", "http_body_encoding")
    if encoding not in _BODY_TYPES:
        raise NotCarriedOver(f"the encoding of the body is not json, form or xml but {encoding}")
    put_body(monitor.context, draft, text, _BODY_TYPES[encoding], *nodes)


def put_accepted_statuses(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Set the statuses that count as success; 200-299 is the default of both."""
    accepted = read_accepted(monitor)
    nodes = monitor.row.nodes("accepted_statuscodes_json")
    if accepted == ["200-299"]:
        draft.use(*nodes)
    else:
        draft.expect({"status": accepted}, *nodes)


def read_accepted(monitor: KumaMonitor) -> list[Any]:
    """Return the accepted statuses. Raises NotCarriedOver."""
    value = monitor.row.values.get("accepted_statuscodes_json", '["200-299"]')
    try:
        listed = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        listed = None
    codes = [str(code).strip() for code in listed] if isinstance(listed, list) else []
    valid = [code for code in codes if all(part.isdecimal() for part in code.split("-", 1))]
    if not valid:
        raise NotCarriedOver("it accepts no status, so that it is always down")
    return [int(code) if code.isdecimal() else code for code in valid]


def _put_keyword(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    keyword = row.text("keyword")
    if not keyword:
        raise NotCarriedOver("it has no keyword")
    key = "body_not_contains" if row.is_set("invert_keyword") else "body_contains"
    how = ""
    if '":' in keyword or '",' in keyword:
        how = "the body is searched as it was sent; Uptime Kuma removes blanks from JSON first"
    draft.expect({key: keyword}, *row.nodes("keyword", "invert_keyword"), how=how)


def put_upside_down(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Expect that the check of Uptime Kuma fails: no expectation is about a wrong answer as well as about none."""
    row = monitor.row
    nodes = row.nodes("upside_down", "accepted_statuscodes_json", "keyword", "invert_keyword", "json_path")
    nodes += row.nodes("json_path_operator", "expected_value")
    kind = row.text("type")
    if kind == "keyword" and row.text("keyword"):
        key = "body_contains" if row.is_set("invert_keyword") else "body_not_contains"
        how = "expects the opposite of the keyword; no answer is a failure, as is a status that is not accepted"
        put_accepted_statuses(monitor, draft)
        draft.expect({key: row.text("keyword")}, *nodes, how=how)
    elif kind == "json-query":
        raise NotCarriedOver("upside down: the opposite of a JSON query is not known", "write the expectation itself")
    else:
        how = "expects a status that is not accepted; no answer is a failure (expect error for a closed port)"
        draft.expect({"status_not": read_accepted(monitor)}, *nodes, how=how)


def _put_stored_body(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    length = row.whole("response_max_length", 1024)
    if not row.is_set("save_error_response") and "save_error_response" in row.values:
        draft.put("check.keep_body", 0, *row.nodes("save_error_response", "response_max_length"))
    elif row.nodes("response_max_length"):
        # 0 is unlimited there.
        stored = min(length, _MAX_BODY) if length > 0 else _MAX_BODY
        how = "" if stored == length else "at most 16KiB"
        draft.put("check.keep_body", stored, *row.nodes("response_max_length"), how=how)
    for node in row.nodes("save_response"):
        draft.drop(node, "history stores bodies of failed attempts only")
