"""What all database checks share: the guarded socket, the thread of the driver, and the bounds of both.

The drivers are pure Python over a blocking socket. The event loop resolves and connects, so that the guard checks each
address; a thread then signs in, reads the role and the statement. The socket bounds what it reads, and closing it ends
the thread: the deadline of the attempt does that.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from jobs.checks.binding.rules import deliveries_of_database
from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.clock import Peer, Phase, PhaseClock, judge_nothing
from jobs.checks.database_answers import MAX_MESSAGE, MAX_NAME, Explanation, ServerSentTooMuch, encode_rows
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.error_mapping import classify_error
from jobs.checks.errors import DriverMissing, TargetDenied
from jobs.checks.files import run_in_daemon_thread
from jobs.checks.http.credentials import make_refresh
from jobs.checks.port import AttemptContext, preload_idna, preload_tls, register_value
from jobs.errors import LeaseEnded, SecretUnavailable
from jobs.model_base import SecretRef
from jobs.problems import make_printable
from jobs.runs import ErrorClass, Observation
from jobs.targets.databases import DatabaseTarget

MAX_RECEIVED = 4 * 1024 * 1024
"""Bytes that a server may send in one attempt."""
MAX_THREADS = 32
"""Attempts of a kind at a time; others wait for a thread within their deadline."""

_UNFIT = re.compile(r"[\0\r\n\ud800-\udfff]")
_OTHER_ROLES = {
    ("primary", "replica"): (
        ErrorClass.READ_ONLY,
        "is a replica or read-only, expected the primary: check where its name leads, and its free storage.",
    ),
    ("replica", "primary"): (
        ErrorClass.EXPECTATION_FAILED,
        "is a primary, expected the replica: check where its name leads.",
    ),
}
_NO_ROLE = (ErrorClass.EXPECTATION_FAILED, "did not report its role, which the job expects: let its user read it.")

T = TypeVar("T", bound=DatabaseTarget)
T_contra = TypeVar("T_contra", bound=DatabaseTarget, contravariant=True)


def _count(received: int) -> None:
    if received > MAX_RECEIVED:
        raise ServerSentTooMuch(f"sent more than {MAX_RECEIVED // 1024 // 1024} MiB: let the statement read less")


class _Closing:
    """Closes the files that a driver has made of the socket, too: they would hold it open until they are collected."""

    _files: tuple[Any, ...] = ()

    def makefile(self, *arguments: Any, **options: Any) -> Any:
        file = super().makefile(*arguments, **options)  # type: ignore[misc]  # of the class beside it
        self._files = (*self._files, file)
        return file

    def close(self) -> None:
        for file in self._files:
            with suppress(Exception):  # it flushes
                file.close()
        super().close()  # type: ignore[misc]  # of the class beside it


class BoundedSocket(_Closing, socket.socket):
    """Limits what is received."""

    received = 0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        content = super().recv(bufsize, flags)
        self.received += len(content)
        _count(self.received)
        return content

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        count = super().recv_into(buffer, nbytes, flags)
        self.received += count
        _count(self.received)
        return count


class BoundedTlsSocket(_Closing, ssl.SSLSocket):
    """Limits what is received. Contexts create it through `sslsocket_class`."""

    received = 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        content = super().read(len, buffer)
        self.received += content if isinstance(content, int) else content.__len__()
        _count(self.received)
        return content


class Redirected(Exception):
    """The server sends the sign-in to another host."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host, self.port = host, port


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one sign-in. `password`: a token if the target has `entra`."""

    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(slots=True)
class ServerState:
    """What a session has found out. `role`: empty without the right to read it. `lag_s`: of a replica."""

    version: str = ""
    role: str = ""
    lag_s: float | None = None
    body: bytes = b'{"rows": []}'
    """The rows of the statement, as JSON."""
    row_count: int = 0
    sign_in_ms: float = 0.0
    statement_ms: float | None = None
    tls: Mapping[str, Any] = field(default_factory=dict)
    """Version and cipher."""
    certificates: tuple[bytes, ...] = ()
    redirected_to: str | None = None
    """The host to which the server has sent the sign-in."""

    def note_tls(self, sock: object) -> None:
        """Take the session of a socket, if it has one."""
        if isinstance(sock, (ssl.SSLSocket, ssl.SSLObject)):
            cipher = sock.cipher()
            self.tls = {"tls_version": sock.version(), "cipher": cipher[0] if cipher else None}
            shown = sock.getpeercert(binary_form=True)
            self.certificates = (shown,) if shown else ()

    def list_facts(self) -> dict[str, Any]:
        """Return what is known, for expectations."""
        facts = {
            "server_version": self.version,
            "role": self.role,
            "replication_lag": self.lag_s,
            "sign_in_ms": round(self.sign_in_ms, 3) or None,
            "statement_ms": None if self.statement_ms is None else round(self.statement_ms, 3),
            "row_count": self.row_count,
        }
        return {**self.tls, **{name: value for name, value in facts.items() if value not in (None, "")}}


class Driver(Protocol[T_contra]):
    """One product. The methods but `explain` block, in a thread."""

    PROTOCOL_NAME: str

    def sign_in(
        self, sock: BoundedSocket, tls: ssl.SSLContext | None, target: T_contra, login: Credentials, state: ServerState
    ) -> Any:
        """Return the driver's connection."""
        ...

    def read_state(self, connection: Any, target: T_contra, state: ServerState) -> None:
        """Set version, role and lag."""
        ...

    def read_rows(self, connection: Any, target: T_contra) -> Sequence[Mapping[str, Any]] | None:
        """Return the rows of the statement; None without one."""
        ...

    def explain(self, error: Exception, target: T_contra) -> Explanation | None:
        """Explain an answer of the server; None for any other error."""
        ...


class DatabaseCheck(Generic[T]):
    """Observes servers of one product, for one event loop."""

    def __init__(self, dependencies: CheckDependencies, load: Callable[[], Driver[T]]) -> None:
        """`load`: imports the driver. Raises ModuleNotFoundError without it."""
        self._dependencies = dependencies
        self._load = load
        self._driver: Driver[T] | None = None
        self._threads = asyncio.Semaphore(MAX_THREADS)

    async def observe(self, target: T, call: AttemptContext) -> Observation:
        """Sign in, read the role, run the statement."""
        peer, state, facts = Peer(target.host, target.port, target.server_name or ""), ServerState(), dict[str, Any]()
        try:
            await self._converse(target, call, state, facts)
        except Exception as error:
            error_class, message = self._explain(error, target, peer, call.clock)
            message = make_printable(self._dependencies.redactor.redact(message), MAX_MESSAGE)
            return Observation(
                call.clock.stop(), error=error_class, message=message, facts={**facts, **state.list_facts()}
            )
        finally:
            call.clock.judge_incomplete = judge_nothing
        facts |= state.list_facts()
        if target.role is not None and state.role != target.role:
            error_class, sentence = _OTHER_ROLES.get((target.role, state.role), _NO_ROLE)
            return Observation(call.clock.stop(), error=error_class, message=f"{peer} {sentence}", facts=facts)
        return Observation(call.clock.stop(), body=state.body, facts=facts, certificates=state.certificates)

    def prepare(self, target: T) -> None:
        preload_idna()
        if (tls := target.tls_options) is not None:
            preload_tls()
            self._dependencies.contexts.prepare(tls, alpn=())
        with suppress(ModuleNotFoundError):
            self._driver = self._driver or self._load()

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _converse(self, target: T, call: AttemptContext, state: ServerState, facts: dict[str, Any]) -> None:
        driver, contexts = self._get_driver(), self._dependencies.contexts
        credentials = await self._resolve_credentials(target, call)
        tls = None
        if target.tls_options is not None:
            tls = await contexts.get_context(target.tls_options, alpn=())
            tls.sslsocket_class = BoundedTlsSocket
        conversation = _Conversation(driver, target, tls, credentials, state)
        try:
            facts["remote_address"] = await self._run(conversation, target.host, target.port, call.clock)
        except Redirected as redirected:
            state.redirected_to = _check_redirect(target, redirected)
            facts["remote_address"] = await self._run(conversation, redirected.host, redirected.port, call.clock)
        if len(state.body) > UNCOUNTED_BYTES:
            await call.body_reservation.reserve(len(state.body))

    async def _run(self, conversation: _Conversation[T], host: str, port: int, clock: PhaseClock) -> str:
        """Connect, and let a thread speak to the server. Return its address."""
        target, loop = conversation.target, asyncio.get_running_loop()
        clock.judge_incomplete = conversation.judge_wait
        async with self._threads:
            clock.judge_incomplete = judge_nothing
            sock, address = await self._dependencies.network.open_socket(
                BoundedSocket, host, port, clock, ip_version=target.ip_version
            )
            try:
                clock.permission.confirm_request()
            except LeaseEnded:
                sock.close()
                raise
            # Of the same connection: a driver replaces the socket by one with TLS.
            with sock.dup() as handle:
                try:
                    clock.enter("first_byte")
                    clock.judge_incomplete = conversation.judge_deadline
                    await run_in_daemon_thread(
                        conversation.run, sock, lambda phase: loop.call_soon_threadsafe(clock.enter, phase)
                    )
                finally:
                    with suppress(OSError):
                        handle.shutdown(socket.SHUT_RDWR)  # ends the thread, wherever it waits
        return address

    def _get_driver(self) -> Driver[T]:
        if self._driver is None:
            try:
                self._driver = self._load()
            except ModuleNotFoundError as error:
                raise DriverMissing(str(error.name)) from None
        return self._driver

    async def _resolve_credentials(self, target: T, call: AttemptContext) -> Credentials:
        """Raises CredentialDenied, SecretUnavailable, TokenUnavailable."""
        dependencies = self._dependencies
        for delivery in deliveries_of_database(target):
            dependencies.bindings.check(delivery.credential, delivery.recipients, call.tags)
        texts: list[str] = []
        for value in (target.user, target.password):
            if isinstance(value, SecretRef):
                call.clock.enter("secrets")
                text = await dependencies.secrets.get_secret(value.secret)
                call.credential_refreshes.append(make_refresh(dependencies.secrets, value.secret, text))
                await register_value(text, call, dependencies.redactor)
                _check_credential(value.secret, text)
                texts.append(text)
            else:
                texts.append(value or "")
        if target.entra:
            call.clock.enter("token")
            texts[1] = await dependencies.tokens.get_token(target.ENTRA_SCOPE)
            call.credential_refreshes.append(make_refresh(dependencies.tokens, target.ENTRA_SCOPE, texts[1]))
            await register_value(texts[1], call, dependencies.redactor)
        return Credentials(*texts)

    def _explain(self, error: Exception, target: T, peer: Peer, clock: PhaseClock) -> tuple[ErrorClass, str]:
        answered = None if self._driver is None else self._driver.explain(error, target)
        if answered is not None:
            return answered[0], f"{peer} {answered[1]}."
        explained = classify_error(error, clock.current, peer)
        if explained is not None:
            return explained
        if self._driver is None or clock.current not in ("first_byte", "body"):
            raise error
        # Drivers fail in many ways on bytes that are not of their protocol.
        name = self._driver.PROTOCOL_NAME
        return ErrorClass.PROTOCOL_ERROR, f"{peer} answered with something that is not {name} ({type(error).__name__})."


@dataclass(frozen=True, slots=True)
class _Conversation(Generic[T]):
    """A sign-in and what follows. `run` blocks, in a thread."""

    driver: Driver[T]
    target: T
    tls: ssl.SSLContext | None
    credentials: Credentials
    state: ServerState

    def run(self, sock: BoundedSocket, enter: Callable[[Phase], None]) -> None:
        """Sign in, read the state and the rows, and close the connection."""
        connection, state = None, self.state
        try:
            began = time.perf_counter()
            connection = self.driver.sign_in(sock, self.tls, self.target, self.credentials, state)
            state.sign_in_ms = (time.perf_counter() - began) * 1000
            self.driver.read_state(connection, self.target, state)
            enter("body")
            began = time.perf_counter()
            rows = self.driver.read_rows(connection, self.target)
            if rows is not None:
                state.statement_ms = (time.perf_counter() - began) * 1000
                state.row_count, state.body = len(rows), encode_rows(rows)
        finally:
            for closed in filter(None, (connection, sock)):
                with suppress(Exception):  # the result is known
                    closed.close()

    def judge_wait(self, limit: str) -> tuple[ErrorClass, str]:
        peer, threads = Peer(self.target.host, self.target.port), f"all {MAX_THREADS} threads"
        return (
            ErrorClass.OUT_OF_RESOURCES,
            f"{peer} was not checked within {limit}: other checks of databases take {threads}.",
        )

    def judge_deadline(self, limit: str) -> tuple[ErrorClass, str]:
        peer = Peer(self.target.host, self.target.port)
        if self.state.sign_in_ms:
            return ErrorClass.RESPONSE_TIMEOUT, f"The statement on {peer} did not end within {limit}."
        return (
            ErrorClass.RESPONSE_TIMEOUT,
            f"No sign-in at {peer} within {limit}: it accepted the connection, but did not finish the sign-in.",
        )


def _check_credential(name: str, text: str) -> None:
    """Raise SecretUnavailable for what cannot be the user or the password of a database."""
    if not text:
        raise SecretUnavailable(f"The secret {name} is empty: set its value.")
    if _UNFIT.search(text):
        raise SecretUnavailable(
            f"The secret {name} has a line break or another character that a sign-in cannot contain: store it without."
        )


def _check_redirect(target: DatabaseTarget, redirected: Redirected) -> str:
    """Return the host of a redirect. Raises TargetDenied: it would get the credentials, and is of another domain."""
    domain = target.host.lower().rstrip(".").partition(".")[2]
    if "." not in domain or not redirected.host.lower().rstrip(".").endswith(f".{domain}"):
        where = make_printable(redirected.host, MAX_NAME)
        raise TargetDenied(f"{target.host} redirects the sign-in to {where}, which is not of its domain.")
    return redirected.host
