"""Maps the subtypes of API tests but `multi` to checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import get_args
from urllib.parse import urlsplit

from importers.http_requests import TestVariables
from importers.ledger import JobDraft
from importers.reading import read_boolean, read_integer, read_optional_text
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    child_of,
    children_of,
)
from importers.sources.datadog.assertions import put_assertions
from importers.sources.datadog.requests import put_request, read_timeout
from jobs.targets.dns import RecordType

KindMapper = Callable[[TestVariables, JobDraft, SourceNode, SourceNode | None], float]
"""Sets the check of a configuration, and returns the seconds of one attempt. Raises NotCarriedOver."""

_DEFAULT_TIMEOUT = 60.0
_ONLY_CONNECTION = "only the connection is checked"
_IDLE = ("shouldTrackHops", "numberOfPackets", "isMessageBase64Encoded", "callType", "service")
_NO_CLIENT = "there is no client of this protocol"
_RECORD_TESTS = {
    "is": "a == {0}",
    "isNot": "a != {0}",
    "contains": "a.contains({0})",
    "doesNotContain": "!a.contains({0})",
    "matches": "a.matches({0})",
    "doesNotMatch": "!a.matches({0})",
}


def map_http(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    request = _request(config)
    draft.put("check.kind", "http")
    put_request(variables, draft, request, "check", options)
    put_assertions(variables, draft, config.child("assertions"))
    return _use_timeout(draft, request)


def map_ssl(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    request = _request(config)
    draft.put("check.kind", "tls")
    _put_address(variables, draft, request, 443)
    name = request.child("servername")
    if name is not None and name.value:
        draft.put("check.server_name", variables.fill(read_optional_text(name)), name)
    accepts = child_of(options, "accept_self_signed")
    if accepts is not None and accepts.value and read_boolean(accepts):
        draft.put("check.tls.verify", False, accepts, how="no certificate is verified")
    put_assertions(variables, draft, config.child("assertions"), is_http=False)
    return _use_timeout(draft, request)


def map_tcp(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    request = _request(config)
    draft.put("check.kind", "tcp")
    _put_address(variables, draft, request, 0)
    put_assertions(variables, draft, config.child("assertions"), is_http=False)
    return _use_timeout(draft, request)


def map_dns(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    """The record type is that of the assertions. A test about several types is not one query."""
    request = _request(config)
    draft.put("check.kind", "dns")
    host = request.child("host")
    if host is None:
        raise NotCarriedOver("the request has no host")
    draft.put("check.name", variables.fill(read_optional_text(host)), host)
    for key, target in (("dnsServer", "server"), ("dnsServerPort", "port")):
        node = request.child(key)
        if node is not None and node.value:
            value = variables.fill(read_optional_text(node))
            draft.put(f"check.{target}", int(value) if target == "port" and value.isdecimal() else value, node)
    assertions = config.child("assertions")
    records = [node for node in children_of(assertions) if _is_about_records(node)]
    types = {read_optional_text(node.child("property")).upper() for node in records} or {"A"}
    if len(types) > 1:
        raise NotCarriedOver("a query has one type of record", "a job for each type")
    record_type = types.pop()
    if record_type not in get_args(RecordType):
        raise NotCarriedOver(f"records of the type {record_type} cannot be queried")
    draft.put("check.type", record_type)
    draft.expect({"rcode": "NOERROR"})
    draft.expect({"answers": {"length": {"at_least": 1}}})
    for node in records:
        draft.map_key(node, _put_record_test)
    _put_other_assertions(variables, draft, assertions)
    return _use_timeout(draft, request)


def _is_about_records(node: SourceNode) -> bool:
    return read_optional_text(node.child("type")) in ("recordSome", "recordEvery")


def _put_record_test(draft: JobDraft, node: SourceNode) -> None:
    operator, target = read_optional_text(node.child("operator")), node.child("target")
    test = _RECORD_TESTS.get(operator)
    if test is None or target is None or "{{" in str(target.value):
        raise NotCarriedOver(f"the operator {operator} has no equivalent for records", "cel")
    macro = "exists" if read_optional_text(node.child("type")) == "recordSome" else "all"
    text = json.dumps(str(target.value), ensure_ascii=False)
    draft.expect({"cel": f"facts.answers.{macro}(a, {test.format(text)})"}, *node.leaves())


def _put_other_assertions(variables: TestVariables, draft: JobDraft, assertions: SourceNode | None) -> None:
    for node in children_of(assertions):
        if _is_about_records(node):
            continue
        kind, operator = read_optional_text(node.child("type")), read_optional_text(node.child("operator"))
        target = node.child("target")
        if kind == "responseTime" and operator.startswith("lessThan") and target is not None:
            draft.expect({"response_time_below": f"{read_integer(target)}ms"}, *node.leaves())
        else:
            draft.drop(node, f"an assertion about {kind} has no equivalent", "cel")


def map_connection(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    """gRPC and WebSocket: the connection to the port, with TLS where the test uses it."""
    request = _request(config)
    draft.put("check.kind", "tcp")
    url = request.child("url")
    if url is not None and url.value:
        _put_url_address(variables, draft, url)
    else:
        _put_address(variables, draft, request, 443)
        draft.use(request.child("host"), how=_ONLY_CONNECTION)
    for key in (
        "message",
        "metadata",
        "compressedProtoFile",
        "compressedJsonDescriptor",
        "method",
        "headers",
        "service",
    ):
        node = request.child(key)
        draft.drop_if(node and node.value, node, _NO_CLIENT, "check a health URL of the service")
    assertions = config.child("assertions")
    if any(read_optional_text(node.child("type")) == "responseTime" for node in children_of(assertions)):
        _put_other_assertions(variables, draft, assertions)
    for node in children_of(assertions):
        if not variables.context.ledger.is_recorded(node):
            draft.drop(node, _NO_CLIENT, "check a health URL of the service")
    return _use_timeout(draft, request)


def _put_url_address(variables: TestVariables, draft: JobDraft, node: SourceNode) -> None:
    try:
        parts = urlsplit(variables.fill(read_optional_text(node)))
        is_encrypted = parts.scheme in ("wss", "https")
        port = parts.port or (443 if is_encrypted else 80)
    except ValueError:
        raise NotCarriedOver("the URL is not valid") from None
    if not parts.hostname:
        raise NotCarriedOver("the URL is not valid")
    draft.put("check.host", parts.hostname, node, how=_ONLY_CONNECTION)
    draft.put("check.port", port)
    if is_encrypted:
        draft.put("check.tls", {"verify": True})


def _request(config: SourceNode) -> SourceNode:
    request = config.child("request")
    if request is None:
        raise NotCarriedOver("the test has no request")
    return request


def _put_address(variables: TestVariables, draft: JobDraft, request: SourceNode, default_port: int) -> None:
    host, port = request.child("host"), request.child("port")
    if host is None or not host.value:
        raise NotCarriedOver("the request has no host")
    draft.put("check.host", variables.fill(read_optional_text(host)), host)
    text = variables.fill(read_optional_text(port)) or str(default_port)
    if not text.isdecimal() or not int(text):
        raise NotCarriedOver("the request has no port")
    draft.put("check.port", int(text), port)


def _use_timeout(draft: JobDraft, request: SourceNode) -> float:
    timeout = request.child("timeout")
    draft.use(timeout)
    for key in _IDLE:
        node = request.child(key)
        if node is not None:
            draft.use(node, how="" if not node.value else "not part of the check")
    return read_timeout(timeout, _DEFAULT_TIMEOUT)


MAPPED_SUBTYPES: Mapping[str, KindMapper] = {
    "http": map_http,
    "ssl": map_ssl,
    "tcp": map_tcp,
    "dns": map_dns,
    "grpc": map_connection,
    "websocket": map_connection,
}
REFUSED_SUBTYPES: Mapping[str, tuple[str, str]] = {
    "icmp": (
        "there are no ICMP packets, which need privileges of the machine",
        "a job of the kind tcp for a port of the host",
    ),
    "udp": ("checks do not use UDP, except for DNS", "a heartbeat that a script on that machine pings"),
    "mcp": ("there is no client of MCP", "a job of the kind http for a health URL"),
}
