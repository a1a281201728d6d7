"""The http prober. Called by probes."""

from __future__ import annotations

import re
from functools import partial

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft, KeyHandler
from config.importers.node import SourceNode
from config.importers.sources.blackbox.go_patterns import translate_pattern
from config.importers.sources.blackbox.http_client import client_handlers, put_headers
from config.importers.sources.blackbox.ip_protocols import put_ip_protocol
from config.importers.sources.blackbox.targets import ProbeTarget
from config.importers.sources.blackbox.tls_options import put_tls
from config.importers.values.http_requests import put_body, put_url
from config.importers.values.reading import (
    read_boolean,
    read_integer,
    read_list,
    read_mapping,
    read_optional_text,
    read_text,
)

_STRING = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![\w.])body\b""")
_BODY_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_VERSIONS = {"HTTP/1.0": "HTTP/1.0", "HTTP/1.1": "HTTP/1.1", "HTTP/2.0": "HTTP/2", "HTTP/2": "HTTP/2"}


def put_http(context: ImportContext, draft: JobDraft, probe: ProbeTarget, module: SourceNode | None) -> None:
    """Set the check and its expectations. Raises NotCarriedOver."""
    address = probe.address if re.match(r"https?://", probe.address) else f"http://{probe.address}"
    draft.put("check.kind", "http")
    put_url(context, draft, address, probe.node)
    if module is None:
        if address.startswith("https://"):
            draft.put("check.http2", True)
        return
    http2 = module.child("enable_http2")
    if address.startswith("https://") and (http2 is None or read_boolean(http2)):
        draft.put("check.http2", True)
    if http2 is not None:
        draft.use(http2)
    put_tls(context, draft, module.child("tls_config"), has_tls=address.startswith("https://"))
    put_ip_protocol(draft, module)
    draft.map_keys(module, {**client_handlers(context), **_handlers(context, module)})
    if probe.hostname:
        draft.put(("check", "headers", "Host"), probe.hostname)
        if address.startswith("https://") and draft.get("check.server_name") is None:
            draft.put("check.server_name", probe.hostname)


def _handlers(context: ImportContext, module: SourceNode) -> dict[str, KeyHandler]:
    return {
        "valid_status_codes": _put_statuses,
        "valid_http_versions": _put_versions,
        "method": _put_method,
        "headers": partial(put_headers, context),
        "http_headers": partial(put_headers, context),
        "body": partial(_put_body, context, module),
        "body_file": partial(_put_body_file, context),
        "body_size_limit": _put_limit,
        "compression": _put_compression,
        "follow_redirects": partial(_put_redirects, True),
        "no_follow_redirects": partial(_put_redirects, False),
        "fail_if_ssl": partial(_put_tls_rule, "absent"),
        "fail_if_not_ssl": partial(_put_tls_rule, "required"),
        "fail_if_body_matches_regexp": partial(_put_patterns, "body_not_matches"),
        "fail_if_body_not_matches_regexp": partial(_put_patterns, "body_matches"),
        "fail_if_header_matches": partial(_put_header_rules, "not_matches"),
        "fail_if_header_not_matches": partial(_put_header_rules, "matches"),
        "fail_if_body_json_matches_cel": partial(_put_expression, "!({})"),
        "fail_if_body_json_not_matches_cel": partial(_put_expression, "{}"),
        "enable_http3": _put_http3,
    }


def _put_statuses(draft: JobDraft, node: SourceNode) -> None:
    codes = read_list(node)
    if codes:
        draft.expect({"status": [read_integer(code) for code in codes]}, node)
    else:
        draft.use(node)


def _put_versions(draft: JobDraft, node: SourceNode) -> None:
    versions = [read_text(version) for version in read_list(node)]
    known = [_VERSIONS[version] for version in versions if version in _VERSIONS]
    if not versions:
        draft.use(node)
        return
    if not known:
        raise NotCarriedOver("these versions of HTTP are not spoken", "http_version")
    how = "" if len(known) == len(versions) else "only versions up to HTTP/2"
    draft.expect({"http_version": list(dict.fromkeys(known))}, node, how=how)


def _put_method(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.method", read_optional_text(node).upper() or "GET", node)


def _put_body(context: ImportContext, module: SourceNode, draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
        return
    headers = module.child("headers")
    kinds = [one for one in headers.children() if one.key.lower() == "content-type"] if headers is not None else []
    put_body(context, draft, text, read_optional_text(kinds[0]) if kinds else "", node)


def _put_body_file(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    if not read_optional_text(node):
        draft.use(node)
        return
    purpose = f"body of the request of {draft.name}: the content of {read_text(node)}"
    reference = context.secrets.require(f"{draft.name}-body", purpose, node)
    draft.put("check.body", {"text": reference}, node, how="the content of the file becomes a secret")


def _put_limit(draft: JobDraft, node: SourceNode) -> None:
    found = _BODY_SIZE.fullmatch(read_text(node).strip())
    size = int(found[1]) * _SIZE_UNITS[found[2].upper()] if found is not None else -1
    if size < 0:
        raise NotCarriedOver("expected a size such as 10MB")
    if size == 0:
        draft.use(node, how="1 MiB of the body is read")
        return
    draft.expect({"max_body": size}, node)
    if size >= 1024 * 1024:
        draft.put("check.read_limit", size + 1)


def _put_compression(draft: JobDraft, node: SourceNode) -> None:
    kind = read_optional_text(node).lower()
    if kind in ("", "identity"):
        draft.use(node)
        return
    if kind not in ("gzip", "deflate"):
        raise NotCarriedOver(f"answers with the encoding {kind} are not decompressed", "compression: gzip")
    headers = draft.get("check.headers") or {}
    if not any(name.lower() == "accept-encoding" for name in headers):
        draft.put(("check", "headers", "Accept-Encoding"), kind)
    draft.expect({"header": "content-encoding", "equals": kind}, node)


def _put_redirects(is_followed: bool, draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node) is is_followed:
        draft.use(node)
    else:
        draft.put("check.redirects", 0, node)


def _put_tls_rule(rule: str, draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        draft.expect({"tls": rule}, node)
    else:
        draft.use(node)


def _put_patterns(key: str, draft: JobDraft, node: SourceNode) -> None:
    for pattern in read_list(node):
        draft.expect({key: translate_pattern(read_text(pattern))}, pattern)
    if not node.value:
        draft.use(node)


def _put_header_rules(comparison: str, draft: JobDraft, node: SourceNode) -> None:
    for rule in read_list(node):
        draft.map_key(rule, partial(_put_header_rule, comparison))
    if not node.value:
        draft.use(node)


def _put_header_rule(comparison: str, draft: JobDraft, node: SourceNode) -> None:
    keys = read_mapping(node)
    if "header" not in keys or "regexp" not in keys:
        raise NotCarriedOver("header or regexp is missing")
    entry: dict[str, object] = {
        "header": read_text(keys["header"]).lower(),
        comparison: translate_pattern(read_text(keys["regexp"])),
    }
    if "allow_missing" in keys and read_boolean(keys["allow_missing"]):
        entry["missing"] = "ok"
    used = [keys[key] for key in ("header", "regexp", "allow_missing") if key in keys]
    draft.expect(entry, *used)


def _put_expression(form: str, draft: JobDraft, node: SourceNode) -> None:
    expression = _STRING.sub(lambda found: found[1] or "json", read_text(node))
    draft.expect({"cel": form.format(expression)}, node, how="the parsed body is named json")


def _put_http3(draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        raise NotCarriedOver("HTTP/3 is not spoken", "http2")
    draft.use(node)
