"""Maps the request and the validation rules of a standard test. Called by resources.

The keys are those of Resource Manager (`RequestUrl`), of its command line (`requestUrl`) and of Terraform (`url`), in
small letters without separators.
"""

from __future__ import annotations

import base64
import binascii

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.app_insights.expectations import expect_status, expect_text
from config.importers.values.http_requests import put_body, put_header, put_url
from config.importers.values.reading import read_boolean, read_integer, read_optional_text, read_text

_DEPENDENT = "images, scripts and style sheets of the page are not requested"
_VERIFIED = "certificates are verified in any case; tls: {verify: false} prevents it"


def normalise(key: str) -> str:
    """`RequestUrl`, `request_url` -> `requesturl`."""
    return key.replace("_", "").replace("-", "").lower()


def find_key(node: SourceNode | None, *names: str) -> SourceNode | None:
    """Return the child with one of the keys, in any form; of a list with one entry, that of its entry."""
    node = first_entry(node)
    if node is None or not isinstance(node.value, dict):
        return None
    return next((child for child in node.children() if normalise(child.key) in names), None)


def first_entry(node: SourceNode | None) -> SourceNode | None:
    """Return the entry of a list of one: Terraform has blocks as lists."""
    while node is not None and isinstance(node.value, list) and len(node.value) == 1:
        node = node.child(0)
    return node


def put_standard_request(context: ImportContext, draft: JobDraft, request: SourceNode | None) -> None:
    """Set the check. Raises NotCarriedOver: it has no URL."""
    draft.put("check.kind", "http")
    url = find_key(request, "requesturl", "url")
    if url is None:
        raise NotCarriedOver("the test has no request with a URL")
    put_url(context, draft, read_text(url), url)
    verb = find_key(request, "httpverb")
    if verb is not None:
        method = read_optional_text(verb).upper() or "GET"
        draft.put("check.method", method, verb)
    _put_headers(context, draft, find_key(request, "headers", "header"))
    _put_body(context, draft, find_key(request, "requestbody", "body"))
    _put_flags(draft, request)


def _put_headers(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    if node is None:
        return
    if not node.value:
        draft.use(node)
    entries = [node] if isinstance(node.value, dict) and node.value else list(node.children())
    for entry in entries:
        name, value = find_key(entry, "key", "name"), find_key(entry, "value")
        if name is None or value is None:
            draft.drop(entry, "a header has a name and a value")
            continue
        try:
            put_header(context, draft, read_text(name), read_optional_text(value), name, value)
        except NotCarriedOver as error:
            draft.drop(entry, error.why, error.nearest)


def _put_body(context: ImportContext, draft: JobDraft, node: SourceNode | None) -> None:
    text = read_optional_text(node)
    if node is None or not text:
        if node is not None:
            draft.use(node)
        return
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        decoded = text
    how = "decoded from Base64" if decoded != text else ""
    headers = draft.get("check.headers") or {}
    is_typed = any(name.lower() == "content-type" for name in headers)
    content_type = "" if is_typed else "application/json" if decoded.lstrip()[:1] in ("{", "[") else ""
    put_body(context, draft, decoded, content_type, node, how=how)


def _put_flags(draft: JobDraft, request: SourceNode | None) -> None:
    follow = find_key(request, "followredirects", "followredirectsenabled")
    if follow is not None:
        if follow.value is None or read_boolean(follow):
            draft.use(follow)
        else:
            draft.put("check.redirects", 0, follow)
    parse = find_key(request, "parsedependentrequests", "parsedependentrequestsenabled")
    if parse is not None:
        if parse.value is not None and read_boolean(parse):
            draft.drop(parse, _DEPENDENT, "a job for each of them that matters")
        else:
            draft.use(parse)


def put_validation_rules(draft: JobDraft, rules: SourceNode | None) -> None:
    """Set the expectations; without rules the status must be 200."""
    status = find_key(rules, "expectedhttpstatuscode", "expectedstatuscode")
    ignore = find_key(rules, "ignorehttpstatuscode", "ignorehttpsstatuscode")
    expected = "200" if status is None or status.value is None else read_text(status)
    is_ignored = ignore is not None and ignore.value is not None and read_boolean(ignore)
    nodes = [node for node in (status, ignore) if node is not None]
    draft.expect(expect_status(expected, is_ignored=is_ignored), *nodes)
    _put_certificate(draft, rules)
    _put_content(draft, find_key(rules, "contentvalidation", "content"))
    empty = first_entry(rules)
    if empty is not None and not empty.value:
        draft.use(empty)


def _put_certificate(draft: JobDraft, rules: SourceNode | None) -> None:
    check = find_key(rules, "sslcheck", "sslcheckenabled")
    if check is not None:
        is_on = check.value is not None and read_boolean(check)
        is_plain = not str(draft.get("check.url")).lower().startswith("https://")
        draft.use(check, how="" if is_on or is_plain else _VERIFIED)
    lifetime = find_key(rules, "sslcertremaininglifetimecheck", "sslcertremaininglifetime")
    if lifetime is None:
        return
    days = 0 if lifetime.value is None else read_integer(lifetime)
    if days > 0:
        draft.expect({"certificate_valid_for": f"{days}d"}, lifetime)
    else:
        draft.use(lifetime)


def _put_content(draft: JobDraft, content: SourceNode | None) -> None:
    text = find_key(content, "contentmatch")
    if text is None or not read_optional_text(text):
        if content is not None:
            draft.use(content)
        return
    ignore, passes = find_key(content, "ignorecase"), find_key(content, "passiftextfound")
    nodes = [node for node in (text, ignore, passes) if node is not None]
    must_exist = passes is None or passes.value is None or read_boolean(passes)
    ignores = ignore is not None and ignore.value is not None and read_boolean(ignore)
    draft.expect(expect_text(read_text(text), ignore_case=ignores, passes_if_found=must_exist), *nodes)
