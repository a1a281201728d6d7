"""Writes the request of a command into a job. Called by mapping."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.crontab.requests import CommandRequest
from config.importers.sources.crontab.shell import ShellCommand
from config.importers.values.durations import write_duration
from config.importers.values.http_requests import put_basic_auth, put_bearer_auth, put_body, put_header, put_url
from config.importers.values.reading import split_url

LONGEST_RUN = 8 * 60.0
"""Seconds that a run can take."""


def put_request(
    context: ImportContext,
    draft: JobDraft,
    request: CommandRequest,
    command: ShellCommand,
    node: SourceNode,
    input_node: SourceNode | None,
) -> None:
    """Set check, expectations, timeout and retries. Raises NotCarriedOver."""
    _put_target(context, draft, request, node)
    _put_headers(context, draft, request, node)
    _put_body(context, draft, request, node, input_node)
    _put_policies(draft, request, command, node)
    draft.put("overlap", "skip" if command.is_exclusive else "allow")
    expected = "200-399" if request.redirects == 0 else "200-299"
    draft.expect({"status": expected}, node)
    notes = dict.fromkeys([*command.notes, *request.notes])
    if not request.fails_on_status:
        notes["a status of 400 or more is a failure here; curl without -f ignores it"] = None
    draft.use(node, how="; ".join(["the scheduler sends the request", *notes]))


def complete_url(url: str) -> str:
    """Return a URL with its scheme, as curl and wget guess it."""
    return url if "://" in url else f"http://{url}"


def _put_target(context: ImportContext, draft: JobDraft, request: CommandRequest, node: SourceNode) -> None:
    url = complete_url(request.urls[0])
    scheme = split_url(url).scheme
    if scheme.lower() not in ("http", "https"):
        raise NotCarriedOver(f"{scheme} cannot be requested", "a check of kind tcp")
    draft.put("check.kind", "http")
    extra = "&".join(request.query)
    put_url(context, draft, f"{url}{'&' if '?' in url else '?'}{extra}" if extra else url, node)
    method = request.method or "GET"
    if method != "GET":
        draft.put("check.method", method, node)
    draft.put("check.redirects", request.redirects, node)
    if not request.verifies:
        draft.put("check.tls.verify", False, node)
    if request.ca_file:
        draft.put("check.tls.ca_file", request.ca_file, node)
    if request.ip_version and not request.proxy:
        draft.put("check.ip_version", request.ip_version, node)
    if request.http2:
        draft.put("check.http2", True, node)
    _put_proxy(context, draft, request, node)


def _put_proxy(context: ImportContext, draft: JobDraft, request: CommandRequest, node: SourceNode) -> None:
    if not request.proxy:
        return
    parts = split_url(complete_url(request.proxy))
    credentials = request.proxy_user or parts.netloc.rpartition("@")[0]
    draft.put("check.proxy", f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", node)
    if credentials:
        username, _, password = credentials.partition(":")
        purpose = f"password of the proxy of {draft.name}"
        reference = context.secrets.reference(password, f"{draft.name}-proxy-password", purpose, node)
        draft.put("check.proxy_auth", {"username": username, "password": reference}, node)


def _put_headers(context: ImportContext, draft: JobDraft, request: CommandRequest, node: SourceNode) -> None:
    if request.username is not None:
        put_basic_auth(context, draft, request.username, request.password or "", node)
    elif request.bearer:
        put_bearer_auth(context, draft, request.bearer, node)
    for name, value in request.headers:
        if name.lower() == "content-type" and request.data:
            request.content_type = value
            continue
        try:
            put_header(context, draft, name, value, node)
        except NotCarriedOver as error:
            request.notes.append(error.why)


def _put_body(
    context: ImportContext,
    draft: JobDraft,
    request: CommandRequest,
    node: SourceNode,
    input_node: SourceNode | None,
) -> None:
    text = "&".join(request.data)
    nodes = [node]
    if request.reads_input and input_node is not None:
        text += str(input_node.value)
        nodes.append(input_node)
    elif input_node is not None:
        draft.drop(input_node, "the request does not send the input of the line")
    if text:
        put_body(context, draft, text, request.content_type, *nodes)


def _put_policies(draft: JobDraft, request: CommandRequest, command: ShellCommand, node: SourceNode) -> None:
    limits = [limit for limit in (request.timeout, command.timeout) if limit]
    attempt = min([*limits, LONGEST_RUN])
    if not limits:
        request.notes.append("an attempt takes at most 8 minutes")
    attempts = min(request.retries, 9) + 1
    draft.put("timeout", {"attempt": write_duration(attempt), "run": write_duration(LONGEST_RUN)}, node)
    retry: dict[str, object] = {"attempts": attempts}
    if attempts > 1:
        if request.retries > 9:
            request.notes.append("at most 10 attempts")
        if request.retry_delay is not None:
            retry |= {"backoff": "constant", "initial": write_duration(request.retry_delay)}
        if (request.method or "GET") in ("POST", "PATCH"):
            retry["non_idempotent"] = True
    draft.put("retry", retry, node)
