"""The check of a TCP target: a connection, and what is said on it. Made by jobs.checks."""

from __future__ import annotations

import time
from dataclasses import replace

from jobs.checks.binding.recipients import sendings_of_tcp
from jobs.checks.binding.rules import ANYTHING, Bindings
from jobs.checks.clock import PhaseClock
from jobs.checks.errors import ExpectedDataMissing
from jobs.checks.faults import explain
from jobs.checks.hearing import Heard, Hearing
from jobs.checks.loading import load_names, load_tls
from jobs.checks.network import Connection, Network
from jobs.checks.peer import Peer
from jobs.checks.port import Call
from jobs.checks.registering import register
from jobs.checks.sessions import certificates_of, session_facts
from jobs.checks.tls_contexts import TlsContexts
from jobs.durations import to_microsecond
from jobs.judging import InlineJudges, Judges
from jobs.model import SecretRef
from jobs.ports import Secrets
from jobs.problems import printable
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.http import Tls
from jobs.targets.tcp import Receive, Send, StartTls, TcpTarget

PATTERN_SECONDS = 0.25
"""Of CPU for all searches of one dialogue. Each piece that arrives is one: the other side may send a byte at a time."""


class TcpCheck:
    """Observes TCP targets, for one event loop. The network and the contexts are shared, and closed by their owner."""

    def __init__(
        self,
        secrets: Secrets,
        redactor: Redactor,
        network: Network,
        contexts: TlsContexts,
        bindings: Bindings = ANYTHING,
        judges: Judges | None = None,
    ) -> None:
        """`judges`: who looks for patterns in what is heard; without them it is done inline."""
        self._secrets = secrets
        self._redactor = redactor
        self._network = network
        self._contexts = contexts
        self._bindings = bindings
        self._judges = judges or InlineJudges()

    async def observe(self, target: TcpTarget, call: Call) -> Observation:
        """Connect and go through the dialogue; what came is the observation's body."""
        peer, clock = Peer(target.host, target.port, target.server_name or ""), call.clock
        heard = bytearray()
        try:
            for sending in sendings_of_tcp(target):
                self._bindings.check(sending.credential, sending.places, call.tags)
            texts = await self._texts(target, call)
            tls = await self._contexts.get(target.tls or Tls()) if _has_tls(target) else None
            at_once = tls if target.secure_at_once else None
            connection = await self._network.connect(
                target.host, target.port, clock, at_once, server_name=peer.name, ip_version=target.ip_version
            )
        except Exception as error:
            return self._failed(error, peer, call)
        patterns = _Patterns(self._judges, call.run_id.rpartition("@")[0], self._redactor)
        talk = _Talk(connection, target.read_limit, heard, self._redactor, clock, peer, patterns)
        try:
            for line in target.dialogue:
                match line:
                    case Send(send=text):
                        clock.enter("first_byte")
                        await connection.write((texts[text.secret] if isinstance(text, SecretRef) else text).encode())
                    case Receive(receive=pattern):
                        await talk.hear(pattern)
                    case StartTls() if tls is not None:
                        clock.enter("tls")
                        await connection.start_tls(tls, peer.name.rstrip("."))
            session = connection.tls
            facts = {"connected": True, "remote_address": connection.remote_address, **session_facts(session)}
            certificates = certificates_of(session)
        except Exception as error:
            connection.abort()
            return self._failed(error, peer, call)
        except BaseException:
            connection.abort()
            raise
        finally:
            talk.forget()  # the clock must not hold the connection
        connection.finish()
        phases = clock.stop()
        phases = replace(phases, total_ms=to_microsecond(max(phases.total_ms - patterns.took_s * 1000, 0.0)))
        return Observation(phases, body=bytes(heard[: target.read_limit]), facts=facts, certificates=certificates)

    def prepare(self, target: TcpTarget) -> None:
        """See Check.prepare."""
        load_names()
        if _has_tls(target):
            load_tls()
            self._contexts.prepare(target.tls or Tls())

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _texts(self, target: TcpTarget, call: Call) -> dict[str, str]:
        """The secrets that are sent. Raises SecretUnavailable."""
        sent = [line.send for line in target.dialogue if isinstance(line, Send)]
        names = [text.secret for text in sent if isinstance(text, SecretRef)]
        if names:
            call.clock.enter("secrets")
        texts = {name: await self._secrets.get(name) for name in names}
        for text in texts.values():
            await register(text, call, self._redactor)
        return texts

    def _failed(self, error: Exception, peer: Peer, call: Call) -> Observation:
        if isinstance(error, ExpectedDataMissing):
            explained: tuple[ErrorClass, str] | None = (ErrorClass.EXPECTATION_FAILED, f"{peer} {error}.")
        else:
            explained = explain(error, call.clock.current, peer)
        if explained is None:
            raise error
        error_class, message = explained
        return Observation(call.clock.stop(), error=error_class, message=self._redactor.redact(message))


def _has_tls(target: TcpTarget) -> bool:
    return target.tls is not None or _starts_tls(target)


def _starts_tls(target: TcpTarget) -> bool:
    return any(isinstance(line, StartTls) for line in target.dialogue)


class _Patterns:
    """Looks for the patterns of one attempt, which have PATTERN_SECONDS together."""

    def __init__(self, judges: Judges, job: str, redactor: Redactor) -> None:
        self._judges = judges
        self._job = job
        self._redactor = redactor
        self._left = PATTERN_SECONDS
        self.took_s = 0.0
        """On the wall clock, waiting included: the target is not to blame for it."""

    @property
    def are_out_of_time(self) -> bool:
        """Whether no other text is searched."""
        return self._left <= 0

    async def look_for(self, pattern: str, heard: bytes) -> Heard:
        """Raises NotJudged."""
        task = Hearing(pattern, heard)
        if self._left <= 0:
            return task.undecided(0, f"all of an attempt have {PATTERN_SECONDS * 1000:.0f} ms of computing")
        began = time.perf_counter()
        judged = await self._judges.perform(self._job, task, self._redactor.redact, seconds=self._left)
        self.took_s += time.perf_counter() - began
        self._left -= judged.seconds
        return judged.result


class _Talk:
    """What is heard on a connection, kept in `heard`. Reading ends with the piece that reaches the limit."""

    def __init__(
        self,
        connection: Connection,
        limit: int,
        heard: bytearray,
        redactor: Redactor,
        clock: PhaseClock,
        peer: Peer,
        patterns: _Patterns,
    ) -> None:
        self._patterns = patterns
        self._connection = connection
        self._limit = limit
        self._heard = heard
        self._redactor = redactor
        self._clock = clock
        self._peer = peer
        self._since = 0
        self._besides, self._received = clock.besides, clock.received

    async def hear(self, pattern: str) -> None:
        """Read until the pattern is found in what came since the last match.

        Raises ExpectedDataMissing, and what reading raises.
        """
        self._clock.besides = lambda: f"Expected {self._comparison(pattern)}."
        self._clock.received = lambda limit: self._at_deadline(pattern, limit)
        if self._clock.current in ("connect", "tls"):
            self._clock.enter("first_byte")
        while not await self._finds(pattern):
            if len(self._heard) >= self._limit:
                raise ExpectedDataMissing(
                    f"sent {len(self._heard)} bytes, as many as are read: expected {self._comparison(pattern)}"
                )
            data = await self._connection.read()
            if not data:
                raise ExpectedDataMissing(f"closed the connection too early: expected {self._comparison(pattern)}")
            self._heard += data
        self._since = len(self._heard)
        self.forget()

    def forget(self) -> None:
        """Let the clock say nothing of the last line any more."""
        self._clock.besides, self._clock.received = self._besides, self._received

    async def _finds(self, pattern: str) -> bool:
        """Raises ExpectedDataMissing: there is no match, and none is possible, or the search takes too long."""
        heard = await self._patterns.look_for(pattern, bytes(self._heard[self._since :]))
        if heard.undecided:
            raise ExpectedDataMissing(f"sent a text on which {pattern!r} takes too long: {heard.undecided}")
        if not heard.found and self._patterns.are_out_of_time:
            raise ExpectedDataMissing(
                f"sent its text in so many pieces that {pattern!r} took more than {PATTERN_SECONDS * 1000:.0f} ms in "
                "all: make the pattern simpler"
            )
        if heard.is_hopeless:
            raise ExpectedDataMissing(f"sent something else: expected {self._comparison(pattern)}")
        return heard.found

    def _at_deadline(self, pattern: str, limit: str) -> tuple[ErrorClass, str] | None:
        if len(self._heard) == self._since:
            return None
        message = f"{self._peer} did not send what was expected within {limit}: expected {self._comparison(pattern)}."
        return ErrorClass.EXPECTATION_FAILED, message

    def _comparison(self, pattern: str) -> str:
        # What was heard may end anywhere, and so within a secret. Bytes that are no text are shown as \xff.
        text = self._redactor.redact(self._heard[self._since :].decode("utf-8", "backslashreplace"), cut=True)
        shown = f"'{printable(text, 120)}'" if text else "nothing"
        return f"a match of {pattern!r}, received {shown}"
