"""Maps the types `http`, `keyword` and `json-query`, whose request they share. Called by types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.kuma.monitors.credentials import put_credentials, put_proxy
from config.importers.sources.kuma.monitors.json_query import put_json_query
from config.importers.sources.kuma.monitors.monitor import KumaMonitor, put_common_parts
from config.importers.values.http_requests import put_body, put_header, put_url

_MOST_REDIRECTS = 30
_MOST_BODY = 16 * 1024
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
        how = "" if redirects <= _MOST_REDIRECTS else f"at most {_MOST_REDIRECTS}"
        draft.put("check.redirects", min(max(redirects, 0), _MOST_REDIRECTS), *row.nodes("maxredirects"), how=how)
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
        stored = min(length, _MOST_BODY) if length > 0 else _MOST_BODY
        how = "" if stored == length else "at most 16KiB"
        draft.put("check.keep_body", stored, *row.nodes("response_max_length"), how=how)
    for node in row.nodes("save_response"):
        draft.drop(node, "history stores bodies of failed attempts only")
