"""What the first process and the ones that make attempts say to each other, and the channel between them.

A message is a frame: its length in four bytes, and its content. The first process sends pickles of the classes below.
The others read what targets answer, so they are not trusted with a pickle: they send JSON lists, whose first item is a
`Word`. Frames arrive in order, and a definition is sent before the first order that names its job.

A remote worker would need another transport and the definitions as JSON; the messages stay.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

from jobs.checks.binding.rules import Bindings
from jobs.checks.guard import Guard
from jobs.checks.net.tls_contexts import CaFiles
from jobs.checks.outbound import DIRECT, Outbound
from jobs.definition import JobDefinition
from jobs.redaction import Redact
from jobs.running.attempt_series import SeriesResult
from jobs.runs import Attempt
from jobs.runs.details import ReportedEntry
from scheduler.stores.runs.attempt_codec import (
    decode_attempt,
    decode_health,
    encode_attempt,
    encode_health,
    from_microseconds,
    to_microseconds,
)

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Bytes of a message; a longer one ends the channel."""
MAX_DEFINITIONS = 20_000
"""Definitions that a process keeps; a further one replaces the oldest, which is sent again when it is needed."""
MAX_LOGGED_CHARACTERS = 4000
"""Of a text for the log."""
_LENGTH = struct.Struct(">I")
_log = logging.getLogger("scheduler.processes")


@dataclass(frozen=True, slots=True)
class Setup:
    """The first message: what all attempts share. See CheckDependencies."""

    guard: Guard
    bindings: Bindings
    ca_files: CaFiles
    user_agent: str
    traces: bool
    publishes_spans: bool
    body_memory: int
    """Bytes of all bodies that the process holds."""
    examples: tuple[JobDefinition, ...]
    """A job of each kind: what their checks need is loaded before the process is ready."""
    outbound: Outbound = DIRECT


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a job from now on, see `remember`."""

    job: JobDefinition


@dataclass(frozen=True, slots=True)
class Order:
    """Make the attempts of a run, by the last definition of its job."""

    number: int
    job: str
    run_id: str
    until: float | None
    """Seconds since 1970 until which requests may be sent; None: without limit."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """The lease of a run lasts longer, or has ended."""

    number: int
    until: float


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Send nothing more for this order."""

    number: int


@dataclass(frozen=True, slots=True)
class RetryAnswer:
    """The answer to `may_retry`. `denial`: why not; "": it may."""

    number: int
    denial: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question for a credential: its value, or why it is not available.

    `refresh`: of a credential that the target rejected, whether it has changed; `text` is its message then.
    """

    number: int
    text: str
    error: str = ""
    """`unavailable`, or `fault`: one of the program. `text` is its message then."""
    refresh: bool | None = None


class Word(StrEnum):
    """The first item of a message to the first process."""

    READY = "ready"
    ALIVE = "alive"
    RETRY = "retry"
    """number, attempt: a failed attempt that is repeated."""
    MAY_RETRY = "may_retry"
    """number"""
    DONE = "done"
    """number, result, whether a request was sent"""
    WITHOUT_RESULT = "without_result"
    """number, whether a request was sent, attempts so far: the lease has ended, or the order was cancelled."""
    FAILED = "failed"
    """number, text: a fault of the program."""
    ASK = "ask"
    """question, kind (see `Credential`), name, the rejected value or null"""
    LOG = "log"
    """level, logger, text"""


def remember(known: dict[str, JobDefinition], job: JobDefinition) -> None:
    """Add a definition that was sent. Both ends call it in the same order, so that they forget the same ones."""
    known[job.name] = job
    if len(known) > MAX_DEFINITIONS:
        del known[next(iter(known))]


def encode_result(result: SeriesResult) -> dict[str, Any]:
    """Return a JSON value. What is empty is not in it."""
    body: dict[str, Any] = {"end": to_microseconds(result.finished_at)}
    if result.attempts:
        body["attempts"] = encode_attempts(result.attempts)
        details = result.attempts[-1].details
        if details is not None and details.health is not None and details.health.rest:
            body["rest"] = encode_health(replace(details.health, entries=details.health.rest))
    for name in ("is_overdue", "note", "pending", "is_unknown", "lost_s", "lack_s", "traceback"):
        if value := getattr(result, name):
            body[name] = value
    return body


def decode_result(body: dict[str, Any], redact: Redact) -> SeriesResult:
    """Build the result. `redact` knows the secrets of all jobs, its process only those that it has requested."""
    attempts = decode_attempts(body.get("attempts", ()), redact)
    if "rest" in body:
        attempts = (
            *attempts[:-1],
            _with_rest(attempts[-1], decode_health(_redact_texts(body["rest"], redact)).entries),
        )
    return SeriesResult(
        attempts,
        from_microseconds(body["end"]),
        body.get("is_overdue", False),
        redact(body.get("note", "")),
        redact(body.get("pending", "")),
        body.get("is_unknown", False),
        body.get("lost_s", 0.0),
        body.get("lack_s", 0.0),
        redact(body.get("traceback", "")),
    )


def _with_rest(attempt: Attempt, rest: tuple[ReportedEntry, ...]) -> Attempt:
    """Add the entries that are not stored with a run."""
    details = attempt.details
    if details is None or details.health is None:
        return attempt
    return replace(attempt, details=replace(details, health=replace(details.health, rest=rest)))


def encode_attempts(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    return [encode_attempt(attempt, attempts[-1], "") for attempt in attempts]


def decode_attempts(parts: Sequence[dict[str, Any]], redact: Redact) -> tuple[Attempt, ...]:
    bodies = [_redact_attempt(body, redact) for body in parts]
    return tuple(decode_attempt(number, body, bodies[-1], "") for number, body in enumerate(bodies, start=1))


def encode_retried(attempt: Attempt) -> list[Any]:
    return [attempt.number, encode_attempt(attempt, attempt, "")]


def decode_retried(parts: list[Any], redact: Redact) -> Attempt:
    number, body = parts
    body = _redact_attempt(body, redact)
    return decode_attempt(number, body, body, "")


def _redact_attempt(body: dict[str, Any], redact: Redact) -> dict[str, Any]:
    """Redact what targets have a say in."""
    for key in ("message", "failures", "body", "steps", "tls", "dns", "health"):
        if key in body:
            body[key] = _redact_texts(body[key], redact)
    return body


def _redact_texts(value: Any, redact: Redact) -> Any:
    if isinstance(value, str):
        return redact(value, cut=True)
    return [_redact_texts(item, redact) for item in value] if isinstance(value, list) else value


class Channel(asyncio.Protocol):
    """One end of the connection. What is sent within one turn of the event loop leaves in one write."""

    def __init__(self, on_frame: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._to_send: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has others

    def send(self, content: bytes) -> None:
        """Send a frame. Nothing happens after the end."""
        if not self._to_send:
            asyncio.get_running_loop().call_soon(self._flush)
        self._to_send.append(_LENGTH.pack(len(content)))
        self._to_send.append(content)

    def send_json(self, *items: Any) -> None:
        """Send a message of a process that makes attempts."""
        self.send(json.dumps(items, separators=(",", ":")).encode())

    def close(self) -> None:
        """Close the connection; `on_end` is called."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        frames, self._to_send = self._to_send, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(frames))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        start = 0
        while len(received) - start >= _LENGTH.size:
            if self._transport is None or self._transport.is_closing():
                return
            (length,) = _LENGTH.unpack_from(received, start)
            if length > MAX_FRAME_BYTES:
                _log.error("a message has %d bytes, the maximum is %d; the connection ends", length, MAX_FRAME_BYTES)
                self.close()
                return
            end = start + _LENGTH.size + length
            if len(received) < end:
                break
            self._on_frame(bytes(received[start + _LENGTH.size : end]))
            start = end
        del received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_end()
