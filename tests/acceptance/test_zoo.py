"""A zoo of bad servers, each asked by a job from a job file: how its run ends, and that the message helps.

All exhibits are visited at the same time, once, and each test looks at one run. Those of test_bad_targets come along
where it is about time and memory.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
import uvloop

from config.job_files.reader import JobFileReader
from jobs.checks import Checks
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running import attempt_series
from jobs.running import runner as runners
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs import Run, Ticket
from tests.acceptance.test_bad_targets import CASES
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import Heard
from tests.parts import bad_answers as answers
from tests.parts import bad_servers as bad
from tests.parts import bad_tls
from tests.parts.tls import ca_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = {"attempt": "3500ms", "run": "8s"}  # long enough for a busy machine to come as far as each exhibit wants
LONG = {"attempt": "10s", "run": "20s"}
MIB = 2**20
BODY = {"expect": [{"body_contains": "ready"}]}
JSON = {"expect": [{"json": "$.status", "equals": "ok"}]}

Server = Callable[[], Any]


@dataclass(frozen=True)
class Exhibit:
    """A bad server; the error class of its run (None: it succeeds), and words that its message must have."""

    name: str
    server: Server
    error: str | None
    words: tuple[str, ...]
    job: Mapping[str, Any] = field(default_factory=dict)
    url: str = "{url}"
    check: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "http"

    @property
    def outcome(self) -> str:
        if self.error is None:
            return "succeeded"
        return "timed_out" if self.error.endswith("_timeout") else "failed"


def raw(name: str, data: bytes, error: str | None, *words: str, **more: Any) -> Exhibit:
    """A server that answers with these bytes. The body must have "ready" unless the job expects something else."""
    return Exhibit(name, partial(bad.answering, data), error, words, more.pop("job", BODY), **more)


def slow(name: str, server: Server, error: str, *words: str, **more: Any) -> Exhibit:
    return Exhibit(name, server, error, ("3.5 s", *words), {"timeout": SHORT, **more.pop("job", {})}, **more)


def broken_off(name: str, data: bytes, then: bad.Then, error: str, *words: str) -> Exhibit:
    return Exhibit(name, partial(bad.part_then, data, then), error, words)


def redirect(name: str, location: str | None, error: str, *words: str) -> Exhibit:
    return raw(f"redirect {name}", answers.redirect(location), error, *words)


def certificate(server: Server, *words: str) -> Exhibit:
    return Exhibit(server.__name__, server, "tls_certificate", ("The certificate of 127.0.0.1:", *words))


def session(name: str, server: Server, error: str, *words: str, **more: Any) -> Exhibit:
    return Exhibit(name, server, error, words, **more)


def named(name: str, host: str, error: str | None, *words: str, **job: Any) -> Exhibit:
    """Asked by a name that the resolver of this zoo knows; behind it a server that is well."""
    return Exhibit(name, partial(bad.answering, answers.GOOD), error, words, {**BODY, **job}, f"http://{host}:{{port}}")


def by_http_2(name: str, data: bytes, error: str | None, *words: str, **more: Any) -> Exhibit:
    return raw(f"HTTP/2 {name}", data, error, *words, check={"http2": True}, **more)


POST = {"method": "POST", "body": {"text": "x" * 8_000_000}}

STATUS_LINES = [
    raw("HTTP/0.9", answers.HTTP_0_9, "protocol_error", "not HTTP"),
    raw("HTTP/1.0", answers.HTTP_1_0, None),
    raw("HTTP/1.0 until the end", answers.HTTP_1_0_UNTIL_THE_END, None),
    raw("HTTP/2 alone", answers.HTTP_2_SETTINGS, "protocol_error", "not HTTP"),
    raw("HTTP/7.0", answers.HTTP_7, "protocol_error", "not HTTP"),
    raw("shoutcast", answers.SHOUTCAST, "protocol_error", "not HTTP"),
    raw("status 99", answers.STATUS_TOO_SMALL, "protocol_error", "not HTTP"),
    raw("status 1000", answers.STATUS_TOO_LARGE, "protocol_error", "not HTTP"),
    raw("status in words", answers.STATUS_IN_WORDS, "protocol_error", "not HTTP"),
    raw("status 999", answers.STATUS_UNKNOWN, "unexpected_status", "Answered 999 Denied, expected 2xx", job={}),
    raw("no reason", answers.NO_REASON, None),
    raw("long reason", answers.LONG_REASON, "unexpected_status", "Answered 500 very very", "…", job={}),
    raw("reason for terminals", answers.REASON_FOR_TERMINALS, "unexpected_status", "Answered 500 \\x1b[31mred", job={}),
    raw("line feeds alone", answers.LINE_FEEDS_ALONE, None),
    raw("empty lines first", answers.EMPTY_LINES_FIRST, "protocol_error", "not HTTP"),
    Exhibit("zeros without end", bad.endless_zeros, "protocol_error", ("not HTTP",)),
    raw("empty lines without end", answers.EMPTY_LINES_WITHOUT_END, "protocol_error", "not HTTP"),
]
HEADERS = [
    raw("NUL in a value", answers.NUL_IN_VALUE, "protocol_error", "not HTTP"),
    raw("NUL in a name", answers.NUL_IN_NAME, "protocol_error", "not HTTP"),
    raw("no colon", answers.NO_COLON, "protocol_error", "not HTTP"),
    raw("blank before the colon", answers.BLANK_BEFORE_COLON, "protocol_error", "not HTTP"),
    raw("folded", answers.FOLDED, None),
    raw("one huge header", answers.ONE_HUGE_HEADER, "protocol_error", "more than 100 KiB of headers"),
    raw("many small headers", answers.MANY_SMALL_HEADERS, "protocol_error", "more than 100 KiB of headers"),
    raw("many header lines", answers.MANY_LINES, "protocol_error", "200 with more than 1,000 header lines"),
    raw("cookie flood", answers.COOKIE_FLOOD, None),
    raw("eight bits", answers.EIGHT_BIT_HEADER, None),
]
LENGTHS = [
    raw("negative length", answers.NEGATIVE_LENGTH, "protocol_error", "not HTTP"),
    raw("length in words", answers.LENGTH_IN_WORDS, "protocol_error", "not HTTP"),
    raw("signed length", answers.SIGNED_LENGTH, "protocol_error", "not HTTP"),
    raw("two lengths", answers.TWO_LENGTHS, "protocol_error", "not HTTP"),
    raw("twice the same length", answers.TWICE_THE_SAME_LENGTH, None),
    raw("length beyond all", answers.LENGTH_BEYOND_ALL, "protocol_error"),
    raw("length and chunks", answers.LENGTH_AND_CHUNKS, None),
    raw("longer than promised", answers.LONGER_THAN_PROMISED, None),
    raw(
        "shorter than promised",
        answers.SHORTER_THAN_PROMISED,
        "protocol_error",
        "closed",
        "before its response was complete",
    ),
    raw("second answer", answers.SECOND_ANSWER, None),
    raw("204 with content", answers.NO_CONTENT_WITH_CONTENT, None, job={}),
    raw("HEAD with a body", answers.GOOD, None, job={}, check={"method": "HEAD"}),
    raw("unknown transfer", answers.UNKNOWN_TRANSFER, "protocol_error", "not HTTP"),
    raw("chunk size too large", answers.CHUNK_SIZE_TOO_LARGE, "protocol_error", "not HTTP"),
    raw("chunk size negative", answers.CHUNK_SIZE_NEGATIVE, "protocol_error", "not HTTP"),
    raw("chunk longer than its size", answers.CHUNK_LONGER_THAN_ITS_SIZE, "protocol_error", "not HTTP"),
    raw(
        "chunks without the last",
        answers.CHUNKS_WITHOUT_LAST,
        "protocol_error",
        "closed",
        "before its response was complete",
    ),
    raw("chunk extension too long", answers.CHUNK_EXTENSION_TOO_LONG, "protocol_error"),
    Exhibit("endless chunk extension", bad.endless_chunk_extension, "protocol_error", ()),
    raw("chunks with trailers", answers.CHUNKS_WITH_TRAILERS, None),
    raw("trailers too long", answers.TRAILERS_TOO_LONG, "protocol_error", "headers"),
    raw("hints first", answers.HINTS_FIRST, None),
    raw("long hints", answers.HINTS_OF_MANY_LINES, "protocol_error", "103 with more than 100 header lines"),
    raw("tiny chunks", answers.TINY_CHUNKS, "protocol_error", "more than 20,000 chunks"),
    raw("many members", answers.GZIP_OF_MANY_MEMBERS, "protocol_error", "more than 1,000 gzip members"),
    raw("continue first", answers.CONTINUE_FIRST, None),
    raw("switches unasked", answers.SWITCHES_UNASKED, "protocol_error", "not HTTP"),
    Exhibit("endless continue", bad.endless_continue, "protocol_error", ("before its response",)),
    Exhibit("endless hints", partial(bad.endless_continue, "103 Hint"), "protocol_error", ("before its response",)),
]
CONTENT = [
    raw("plain as brotli", answers.PLAIN_AS_BROTLI, None),
    raw("no brotli", answers.NO_BROTLI, "expectation_failed", "body_contains", "content encoding br, which"),
    raw("gzip twice", answers.GZIP_TWICE, "expectation_failed", "body_contains"),
    raw("gzip cut off", answers.GZIP_CUT_OFF, "protocol_error", "not gzip, the encoding in its header"),
    raw("gzip with padding", answers.GZIP_WITH_PADDING, None),
    raw("gzip under deflate", answers.GZIP_UNDER_DEFLATE, "protocol_error", "not deflate"),
    raw("deflate bomb", answers.DEFLATE_BOMB, "expectation_failed", "not in the first 1 MiB"),
    raw("unknown encoding", answers.UNKNOWN_ENCODING, None),
    raw("latin as UTF-8", answers.LATIN_AS_UTF_8, None),
    raw("unknown charset", answers.UNKNOWN_CHARSET, None),
    raw("binary", answers.BINARY, "expectation_failed", "body_contains"),
    raw("broken JSON", answers.BROKEN_JSON, "expectation_failed", "json $.status", job=JSON),
    raw("HTML as JSON", answers.HTML_AS_JSON, "expectation_failed", "json $.status", job=JSON),
    raw("empty JSON", answers.EMPTY_JSON, "expectation_failed", "json $.status", job=JSON),
    raw("deep JSON", answers.DEEP_JSON, "expectation_failed", "json $.status", job=JSON),
    raw("not a number", answers.NOT_A_NUMBER, "expectation_failed", "json $.status", job=JSON),
    raw("JSON in UTF-16", answers.JSON_IN_UTF_16, None, job=JSON),
    *(
        raw(f"Retry-After {text[:12]}", answers.unavailable(text), "unexpected_status", "Answered 503", job={})
        for text in (
            "soon",
            "-5",
            "1.5",
            "Tue, 99 Foo 2026 99:99:99 GMT",
            "\xb2",
            "Wed 25 Nov 99999999999999999999 12:00:00 GMT",
        )
    ),
    raw(
        "Retry-After beyond all",
        answers.unavailable("9" * 40),
        "unexpected_status",
        "Answered 503",
        "(Retry-After: ",
        job={"retry": {"attempts": 2}},
    ),
]
REDIRECTS = [
    raw("redirect to itself", answers.redirect("/"), "too_many_redirects", "10 redirects", "loop", job={}),
    redirect("without a place", None, "unexpected_status", "Answered 302"),
    redirect("to ftp", "ftp://127.0.0.1/x", "protocol_error", "to a ftp URL"),
    redirect("to a script", "javascript:alert(1)", "protocol_error", "to a javascript URL"),
    redirect("to a name that is none", "http://xn--a/", "protocol_error", "to something that is not a URL"),
    raw("redirect with odd cookies", answers.ODD_COOKIES, "too_many_redirects", "loop", job={}),
    redirect("to nonsense", "http://[::1", "protocol_error", "to something that is not a URL"),
    redirect("to port 0", "http://127.0.0.1:0/", "protocol_error", "to a port that cannot exist"),
    redirect("to no host", "http:///health", "protocol_error", "to a URL without a host"),
    redirect("to far away", "/" + "x" * 90_000, "protocol_error", "redirects to"),
    redirect("to metadata", "http://169.254.169.254/metadata", "target_denied", "link-local", "redirected to it"),
    redirect("to metadata in hex", "//0xa9fea9fe/metadata", "target_denied", "link-local", "redirected to it"),
    redirect("to a private network", "http://10.0.0.5/", "target_denied", "targets.networks", "redirected to it"),
]
BROKEN_OFF = [
    Exhibit("closes at accept", bad.closes_at_accept, "connection_reset", ("the connection",)),
    broken_off(
        "half closed in the head",
        b"HTTP/1.1 200 OK\r\nX-",
        "half_close",
        "protocol_error",
        "before its response was complete",
    ),
    broken_off("closed in the status line", b"HTTP/1.", "close", "protocol_error", "before its response was complete"),
    broken_off(
        "half closed in the body",
        answers.SHORTER_THAN_PROMISED,
        "half_close",
        "protocol_error",
        "before its response was complete",
    ),
    broken_off(
        "reset in the head", b"HTTP/1.1 200 OK\r\nX-", "reset", "connection_reset", "before its response was complete"
    ),
    broken_off(
        "reset in a chunk",
        answers.CHUNKS_WITHOUT_LAST[:-3],
        "reset",
        "connection_reset",
        "before its response was complete",
    ),
    Exhibit("answers before the request was read", bad.turns_away, "unexpected_status", ("Answered 413",), check=POST),
    slow("never reads", bad.never_reads, "response_timeout", "stayed silent", check=POST),
    slow("silent after a byte", partial(bad.part_then, b"H", "silence"), "body_timeout", "started to respond"),
    slow("silent after the head", partial(bad.part_then, answers.head("Content-Length: 5"), "silence"), "body_timeout"),
    slow("endless events", bad.endless_events, "body_timeout", "started to respond"),
]
HTTP_2 = [
    by_http_2("is well", answers.HTTP_2_GOOD, None),
    by_http_2("no status", answers.HTTP_2_WITHOUT_STATUS, "protocol_error", "not HTTP/2", "status"),
    by_http_2("two statuses", answers.HTTP_2_TWO_STATUSES, "protocol_error", "not HTTP/2", "status"),
    by_http_2("status in words", answers.HTTP_2_STATUS_IN_WORDS, "protocol_error", "not HTTP/2", "status"),
    by_http_2("status 20000", answers.HTTP_2_STATUS_TOO_LARGE, "protocol_error", "not HTTP/2", "status"),
    by_http_2("bad compression", answers.HTTP_2_BAD_COMPRESSION, "protocol_error", "rules of HTTP/2"),
    by_http_2("goodbye", answers.HTTP_2_GOODBYE, "protocol_error", "HTTP/2"),
    by_http_2("stream refused", answers.HTTP_2_STREAM_REFUSED, "protocol_error", "HTTP/2"),
    by_http_2("window overflow", answers.HTTP_2_WINDOW_OVERFLOW, "protocol_error", "rules of HTTP/2"),
    by_http_2("frame too large", answers.HTTP_2_FRAME_TOO_LARGE, "protocol_error", "rules of HTTP/2"),
    by_http_2("length is a lie", answers.HTTP_2_LENGTH_LIE, "protocol_error", "rules of HTTP/2"),
    by_http_2("cut off", answers.HTTP_2_CUT_OFF, "protocol_error", "before its response was complete"),
    *(
        Exhibit(
            f"HTTP/2 {name}",
            partial(bad.endless_frames, first, frame),
            "protocol_error",
            ("sends frames without any part of a response",),
            check={"http2": True},
        )
        for name, first, frame in (
            ("endless settings", b"", answers.frame(4)),
            ("endless pings", answers.frame(4), answers.frame(6, bytes(8))),
            ("endless empty data", answers.http_2(answers.OK_BY_HTTP_2, ends=False), answers.frame(0, stream=1)),
            (
                "endless padding",
                answers.http_2(answers.OK_BY_HTTP_2, ends=False),
                answers.frame(0, b"\xff" + bytes(255), flags=8, stream=1),
            ),
        )
    ),
    by_http_2("HTTP/1", answers.GOOD, "protocol_error", "speaks HTTP/1.1, not HTTP/2"),
    by_http_2("SSH", answers.SSH, "protocol_error", "not HTTP/2"),
]
OTHERS = [
    raw("SSH", answers.SSH, "protocol_error", "not HTTP", "SSH"),
    raw("SMTP", answers.SMTP, "protocol_error", "not HTTP", "SMTP"),
    raw("Redis", answers.REDIS, "protocol_error", "not HTTP", "Redis"),
    raw("MySQL", answers.MYSQL, "protocol_error", "not HTTP", "MySQL"),
    raw("TLS behind http", answers.TLS_ALERT, "protocol_error", "TLS", "https"),
    # OpenSSL says nothing to who speaks HTTP to it.
    session(
        "OpenSSL behind http", bad_tls.good, "connection_reset", "without a response", url="http://127.0.0.1:{port}"
    ),
]
CERTIFICATES = [
    certificate(bad_tls.missing_intermediate, "authority", "complete chain"),
    certificate(bad_tls.expired_intermediate, "has expired", "a certificate of its chain"),
    certificate(bad_tls.signed_by_a_leaf, "not a CA"),
    certificate(bad_tls.weak_key, "too weak", "RSA"),
    certificate(bad_tls.ip_not_named, "is not valid for", "127.0.0.1"),
    certificate(bad_tls.address_as_a_name, "is not valid for", "127.0.0.1"),
    certificate(bad_tls.name_in_subject_alone, "is not valid for"),
    certificate(bad_tls.for_clients_alone, "not for servers", "serverAuth"),
    Exhibit("authority as leaf", bad_tls.authority_as_leaf, None, ()),
]
SESSIONS = [
    session("old version", bad_tls.old_version, "tls_failure", "version"),
    session("no common cipher", bad_tls.no_common_cipher, "tls_failure", "no common cipher"),
    session("wants a certificate", bad_tls.wants_client_certificate, "tls_failure", "requires a client certificate"),
    session(
        "requires a certificate by TLS 1.2",
        partial(bad_tls.wants_client_certificate, ssl.TLSVersion.TLSv1_2),
        "tls_failure",
        "client certificate",
    ),
    session("HTTP/2 alone behind TLS", bad_tls.h2_alone, "protocol_error", "not HTTP"),
    session("SSH behind https", partial(bad.answering, answers.SSH, at_once=True, tls=True), "tls_failure", "not TLS"),
    session(
        "alert at once",
        partial(bad.answering, answers.HANDSHAKE_FAILURE, at_once=True, tls=True),
        "tls_failure",
        "client certificate",
    ),
    slow(
        "handshake stalls",
        partial(bad.part_then, answers.BEGIN_OF_HANDSHAKE, "silence", at_once=True, tls=True),
        "tls_timeout",
        "handshake",
    ),
    session("closes in the handshake", partial(bad.answering, b"", at_once=True, tls=True), "tls_failure", "handshake"),
    session(
        "resets in the handshake", bad.reset_on_connect, "tls_failure", "handshake", url="https://127.0.0.1:{port}"
    ),
]


def by_handshake(exhibit: Exhibit) -> Exhibit:
    """The same server, asked by a check of kind tls."""
    return replace(exhibit, name=f"{exhibit.name} by handshake", kind="tls")


_AFTER_THE_HANDSHAKE = {"wants a certificate", "HTTP/2 alone behind TLS"}
HANDSHAKES = [by_handshake(each) for each in (*CERTIFICATES, *SESSIONS) if each.name not in _AFTER_THE_HANDSHAKE]
NAMES = [
    named("unknown name", "unknown.zoo", "dns_failure", "DNS has no address for unknown.zoo"),
    named("no address of the kind", "empty.zoo", "dns_failure", "DNS has no address for empty.zoo"),
    named("DNS servers fail", "servfail.zoo", "dns_failure", "DNS gave no answer about servfail.zoo"),
    named("DNS refuses", "refused.zoo", "dns_failure", "refused.zoo could not be resolved", "DNS servers"),
    named("DNS is slow", "slow.zoo", "dns_timeout", "No answer from the DNS about slow.zoo", timeout=SHORT),
    named("IPv6 alone, and nothing there", "six.zoo", "connection_refused", "six.zoo", "nothing listens"),
    named("first address dead", "two.zoo", None),
    named("label too long", "a" * 64 + ".zoo", "dns_failure", "not a valid host name"),
    named("name without dots between", "a..zoo", "dns_failure", "not a valid host name"),
    named("name leads to metadata", "metadata.zoo", "target_denied", "169.254.169.254", "metadata.zoo", "No setting"),
    named("name leads there, too", "rebound.zoo", "target_denied", "168.63.129.16", "rebound.zoo", "No setting"),
    named("name is private", "private.zoo", "target_denied", "10.0.0.5", "targets.networks"),
]

ZOO = [
    *STATUS_LINES,
    *HEADERS,
    *LENGTHS,
    *CONTENT,
    *REDIRECTS,
    *BROKEN_OFF,
    *HTTP_2,
    *OTHERS,
    *CERTIFICATES,
    *SESSIONS,
    *HANDSHAKES,
    *NAMES,
]
SAME = [Exhibit(case.name, case.server, case.error, (), case.job) for case in CASES]
"""Those whose runs test_bad_targets looks at."""

_ANSWERS: Mapping[str, list[str] | int] = {
    "unknown.zoo": socket.EAI_NONAME,
    "empty.zoo": socket.EAI_NODATA,
    "servfail.zoo": socket.EAI_AGAIN,
    "refused.zoo": socket.EAI_FAIL,
    "six.zoo": ["::1"],
    "two.zoo": ["127.0.0.9", "127.0.0.1"],
    "metadata.zoo": ["169.254.169.254"],
    "rebound.zoo": ["127.0.0.1", "168.63.129.16"],
    "private.zoo": ["10.0.0.5"],
}


_resolve = socket.getaddrinfo


def resolve(over: threading.Event, host: str, port: int, **_: Any) -> list[Any]:
    """What the DNS of the zoo answers, in the place of socket.getaddrinfo. `over`: until then it is slow."""
    if host == "slow.zoo":
        over.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    if host not in _ANSWERS and not host.encode("idna").endswith(b".zoo"):
        return _resolve(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    answer = _ANSWERS.get(host, ["127.0.0.1"])
    if isinstance(answer, int):
        raise socket.gaierror(answer, "Whatever the C library says")
    families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in answer]
    return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in families]


def name_of(exhibit: Exhibit) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in exhibit.name)


def written(exhibit: Exhibit, url: str) -> dict[str, Any]:
    """The exhibit's job as it stands in a job file."""
    port = url.rpartition(":")[2]
    check: dict[str, Any] = {"kind": exhibit.kind, "tls": {"ca_file": ca_file()}, **exhibit.check}
    if exhibit.kind == "http":
        check["url"] = exhibit.url.format(url=url, port=port)
    else:
        check |= {"host": "127.0.0.1", "port": int(port)}
    return {"retry": {"attempts": 1}, "timeout": LONG, **exhibit.job, "check": check}


@dataclass
class Zoo:
    """Everything that runs: the jobs by name, their servers, and the runner."""

    jobs: Mapping[str, JobDefinition]
    runner: Runner
    ports: frozenset[int]

    async def visit(self, *names: str) -> dict[str, Run]:
        """Run these jobs (or all) at the same time."""
        chosen = names or tuple(self.jobs)
        now = SystemClock().now()
        runs = await asyncio.gather(
            *(self.runner.run(self.jobs[name], Ticket.requested(name, now, "1")) for name in chosen)
        )
        return dict(zip(chosen, runs, strict=True))

    def open_connections(self) -> int:
        """Of the checks, to any of the servers."""
        connections = psutil.Process().net_connections("tcp")
        return sum(1 for each in connections if each.raddr and each.raddr.port in self.ports)


@asynccontextmanager
async def open_runner() -> AsyncIterator[Runner]:
    redactor = Redactor()
    checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), redactor, guard=LOCAL_GUARD))
    yield Runner(checks, CircuitBreakers(MemoryStates()), Heard(), SystemClock(), redactor)
    await checks.aclose()


@asynccontextmanager
async def open_zoo(folder: Path) -> AsyncIterator[Zoo]:
    async with AsyncExitStack() as stack:
        patch, over = stack.enter_context(pytest.MonkeyPatch.context()), threading.Event()
        patch.setattr(socket, "getaddrinfo", partial(resolve, over))
        for module, name in (
            (attempt_series, "EXCUSING_SHARE"),
            (attempt_series, "EXCUSING_LACK"),
            (runners, "EXCUSING_SHARE"),
        ):
            patch.setattr(module, name, math.inf)  # on a busy machine, silence of an exhibit would be excused
        jobs: dict[str, Any] = {}
        ports: set[int] = set()
        for exhibit in (*ZOO, *SAME):
            server = await stack.enter_async_context(exhibit.server())
            jobs[name_of(exhibit)] = written(exhibit, server.url)
            if not isinstance(server, bad.ReservedPort):  # that one fills its own queue
                ports.add(int(server.url.rpartition(":")[2]))
        file = folder / "zoo.json"
        file.write_text(json.dumps({"jobs": jobs}))
        runner = await stack.enter_async_context(open_runner())
        stack.callback(over.set)
        yield Zoo(JobFileReader(folder).read(file).jobs, runner, frozenset(ports))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Zoo]:
    async with open_zoo(tmp_path_factory.mktemp("zoo")) as zoo:
        yield zoo


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visited(zoo: Zoo) -> Visit:
    began = time.monotonic()
    runs = await zoo.visit()
    return Visit(runs, time.monotonic() - began)


@dataclass(frozen=True)
class Visit:
    """All runs of one visit by job, and the seconds that it took."""

    runs: Mapping[str, Run]
    took: float


async def test_no_exhibit_stands_in_the_place_of_another() -> None:
    names = [name_of(exhibit) for exhibit in (*ZOO, *SAME)]
    assert len(names) == len(set(names))
    assert len(ZOO) >= 60


@pytest.mark.parametrize("exhibit", ZOO, ids=name_of)
async def test_the_run_ends_as_it_should_and_reports_why(exhibit: Exhibit, visited: Visit) -> None:
    run = visited.runs[name_of(exhibit)]
    assert (str(run.outcome), run.error and str(run.error)) == (exhibit.outcome, exhibit.error), run.message
    for word in exhibit.words:
        assert word in run.message


@pytest.mark.parametrize("exhibit", [each for each in ZOO if each.error is not None], ids=name_of)
async def test_the_message_is_short_and_fit_for_a_terminal(exhibit: Exhibit, visited: Visit) -> None:
    message = visited.runs[name_of(exhibit)].message
    assert message.isprintable()
    assert message.endswith(".")
    assert len(message) < 500


async def test_all_of_them_together_take_a_few_seconds(visited: Visit) -> None:
    assert visited.took < 15


async def test_a_server_is_as_bad_where_connections_are_stored(zoo: Zoo, visited: Visit) -> None:
    async with open_runner() as runner:
        keeping = Zoo(
            {
                name_of(each): stored(zoo.jobs[name_of(each)])
                for each in ZOO
                if each.kind == "http" and each not in HTTP_2
            },
            runner,
            zoo.ports,
        )
        for runs in (await keeping.visit(), await keeping.visit()):
            errors = {name: run.error for name, run in runs.items()}
            assert errors == {name: visited.runs[name].error for name in errors}


async def test_a_server_is_as_bad_on_uvloop(tmp_path: Path, visited: Visit) -> None:
    """The loop of the embedded host, which reports resets, alerts and ends in ways of its own."""

    async def visit() -> Mapping[str, Run]:
        async with open_zoo(tmp_path) as zoo:
            return await zoo.visit(*map(name_of, ZOO))

    def on_uvloop() -> Mapping[str, Run]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(visit())

    runs = await asyncio.to_thread(on_uvloop)
    errors = {name: run.error for name, run in runs.items()}
    assert errors == {name: visited.runs[name].error for name in errors}


def stored(job: JobDefinition) -> JobDefinition:
    return job.model_copy(update={"check": job.check.model_copy(update={"connection": "kept"})})


async def test_nothing_grows_with_the_number_of_visits(zoo: Zoo, visited: Visit) -> None:
    process = psutil.Process()
    await zoo.visit()
    memory = process.memory_info().rss
    for _ in range(2):
        await zoo.visit()
    # Unpacked, the bombs of each visit alone are 80 MB.
    assert process.memory_info().rss - memory < 32 * MIB
    async with asyncio.timeout(60):  # TLS says goodbye in the background
        while zoo.open_connections():  # noqa: ASYNC110 - a socket's end has no event
            await asyncio.sleep(0.05)
