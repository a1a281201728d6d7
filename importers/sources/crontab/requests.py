"""The request that a command of curl or wget sends, its options as a table, and how it becomes part of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from importers.http_requests import put_basic_auth, put_bearer_auth, put_body, put_header, put_url
from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import split_url, write_duration
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.crontab.shell import ShellCommand


@dataclass(slots=True)
class CommandRequest:
    """What a command line sends. Times in seconds; None: not given."""

    urls: list[str] = field(default_factory=list)
    method: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    content_type: str = ""
    query: list[str] = field(default_factory=list)
    username: str | None = None
    password: str | None = None
    bearer: str | None = None
    timeout: float | None = None
    retries: int = 0
    retry_delay: float | None = None
    redirects: int = 0
    verifies: bool = True
    ca_file: str | None = None
    proxy: str | None = None
    proxy_user: str | None = None
    ip_version: int | None = None
    http2: bool = False
    fails_on_status: bool = False
    sends_data_as_query: bool = False
    reads_input: bool = False
    """Whether the body is the input of the line (after `%`)."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CommandOption:
    """An option: what it sets (None: nothing that matters), or why it has no equivalent."""

    apply: Callable[[CommandRequest, str], None] | None = None
    has_value: bool = False
    refusal: str = ""


def ignore(has_value: bool = False) -> CommandOption:
    """Return an option that changes only what is printed or stored."""
    return CommandOption(None, has_value)


def refuse(reason: str, has_value: bool = True) -> CommandOption:
    """Return an option without which the request would be another one."""
    return CommandOption(None, has_value, reason)


def take(apply: Callable[[CommandRequest, str], None]) -> CommandOption:
    """Return an option with a value."""
    return CommandOption(apply, has_value=True)


def flag(apply: Callable[[CommandRequest], None]) -> CommandOption:
    """Return an option without a value."""
    return CommandOption(lambda request, _: apply(request))


def parse_options(words: list[str], options: Mapping[str, CommandOption], request: CommandRequest) -> CommandRequest:
    """Apply all words after the program to the request. Raises NotCarriedOver: an option has no equivalent."""
    rest = iter(words)
    only_urls = False
    for word in rest:
        if only_urls or not word.startswith("-") or word == "-":
            request.urls.append(word)
        elif word == "--":
            only_urls = True
        elif word.startswith("--"):
            _apply_long(word, rest, options, request)
        else:
            _apply_letters(word[1:], rest, options, request)
    return request


def _apply_long(word: str, rest: Iterator[str], options: Mapping[str, CommandOption], request: CommandRequest) -> None:
    name, equals, value = word.partition("=")
    option = options.get(name)
    if option is None and name.startswith("--no-") and options.get(f"--{name[5:]}") in (ignore(), ignore(True)):
        return
    _apply(name, option, value if equals else None, rest, request)


def _apply_letters(
    letters: str, rest: Iterator[str], options: Mapping[str, CommandOption], request: CommandRequest
) -> None:
    """Apply `-sSfm10`: several letters, of which the last can have a value."""
    for at, letter in enumerate(letters):
        option = options.get(f"-{letter}")
        if option is not None and option.has_value:
            attached = letters[at + 1 :].removeprefix("=")
            _apply(f"-{letter}", option, attached or None, rest, request)
            return
        _apply(f"-{letter}", option, None, rest, request)


def _apply(
    name: str, option: CommandOption | None, value: str | None, rest: Iterator[str], request: CommandRequest
) -> None:
    if option is None:
        raise NotCarriedOver(f"the option {name} is not known")
    if option.has_value and value is None:
        value = next(rest, None)
        if value is None:
            raise NotCarriedOver(f"the option {name} has no value")
    if option.refusal:
        raise NotCarriedOver(f"{name}: {option.refusal}")
    if option.apply is not None:
        option.apply(request, value or "")


def read_number(text: str) -> float:
    """Return the number of an option. Raises NotCarriedOver."""
    try:
        number = float(text)
    except ValueError:
        raise NotCarriedOver(f"expected a number, found {text[:20]!r}") from None
    if not 0 <= number < 1e6:
        raise NotCarriedOver(f"expected a number from 0 to 1000000, found {text[:20]!r}")
    return number


MAX_RUN = 8 * 60.0
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
    attempt = min([*limits, MAX_RUN])
    if not limits:
        request.notes.append("an attempt takes at most 8 minutes")
    attempts = min(request.retries, 9) + 1
    draft.put("timeout", {"attempt": write_duration(attempt), "run": write_duration(MAX_RUN)}, node)
    retry: dict[str, object] = {"attempts": attempts}
    if attempts > 1:
        if request.retries > 9:
            request.notes.append("at most 10 attempts")
        if request.retry_delay is not None:
            retry |= {"backoff": "constant", "initial": write_duration(request.retry_delay)}
        if (request.method or "GET") in ("POST", "PATCH"):
            retry["non_idempotent"] = True
    draft.put("retry", retry, node)
