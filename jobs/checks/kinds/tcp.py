"""The check of a TCP target: a connection, a dialogue on it, and the search for the pattern that the job expects."""

from __future__ import annotations

import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.checks.binding.rules import UNRESTRICTED, Bindings, deliveries_of_dialogue
from jobs.checks.clock import Peer, PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.error_mapping import classify_error, shown_certificates_of
from jobs.checks.errors import ExpectedDataMissing
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.network import Network, session_facts, shown_certificates
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext, Check, preload_idna, preload_tls, register_value
from jobs.expectations.budget import BudgetExceeded, current_budget
from jobs.expectations.engines.regular_expressions import LimitExceeded, can_still_match, search
from jobs.expectations.entry import BRIEF_SEARCH_BYTES
from jobs.expectations.judging import describe_exceeded_budget
from jobs.judging import InlineJudge, Judge, OnPartStarted
from jobs.model_base import SecretRef
from jobs.ports import Secrets
from jobs.problems import make_printable
from jobs.redaction import Redact, Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.http import TlsOptions
from jobs.targets.tcp import ReceiveLine, SendLine, StartTlsLine, TcpTarget


@dataclass(frozen=True, slots=True)
class PatternSearchResult:
    """`cannot_match`: no further data can make a match. `undecided`: why the result is unknown, a clause, or empty."""

    found: bool = False
    cannot_match: bool = False
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class PatternSearch:
    """Search a pattern in what the target sent, as a judging task."""

    pattern: str
    received: bytes

    @property
    def size(self) -> int:
        return len(self.received)

    def is_brief(self) -> bool:
        return self.size <= BRIEF_SEARCH_BYTES

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> PatternSearchResult:
        on_part_started(0)
        text = self.received.decode("utf-8", "replace")
        try:
            found = search(self.pattern, text)
            return PatternSearchResult(
                found, not found and bool(text) and not can_still_match(self.pattern, self._complete_characters())
            )
        except LimitExceeded as error:
            return PatternSearchResult(undecided=str(error))
        except BudgetExceeded:
            budget = current_budget()
            if budget is None or not budget.is_final:
                raise
            return PatternSearchResult(undecided=describe_exceeded_budget(budget.seconds))

    def pack(self, result: PatternSearchResult) -> Any:
        return [result.found, result.cannot_match, result.undecided]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> PatternSearchResult:
        return PatternSearchResult(*packed)

    def undecided(self, place: int, why: str) -> PatternSearchResult:
        return PatternSearchResult(undecided=why)

    def _complete_characters(self) -> str:
        """Return the text without a last character of which bytes are still to come."""
        return getincrementaldecoder("utf-8")("replace").decode(self.received)


PATTERN_SECONDS = 0.25
"""Of CPU for all searches of one dialogue. Each received piece causes one: the peer may send a byte at a time."""


class PatternBudget:
    """Searches for the patterns of one attempt, which have PATTERN_SECONDS together."""

    def __init__(self, judges: Judge, job: str, redactor: Redactor) -> None:
        self._judges = judges
        self._job = job
        self._redactor = redactor
        self._left = PATTERN_SECONDS
        self.took_s = 0.0
        """On the wall clock, waiting included: not the target's time."""

    @property
    def is_exhausted(self) -> bool:
        """Whether no other text is searched."""
        return self._left <= 0

    async def search(self, pattern: str, heard: bytes) -> PatternSearchResult:
        """Search the received data. Raises JudgingUnavailable."""
        task = PatternSearch(pattern, heard)
        if self._left <= 0:
            return task.undecided(0, f"all of an attempt have {PATTERN_SECONDS * 1000:.0f} ms of computing")
        began = time.perf_counter()
        judged = await self._judges.perform(self._job, task, self._redactor.redact, seconds=self._left)
        self.took_s += time.perf_counter() - began
        self._left -= judged.seconds
        return judged.result


class TcpDialogue:
    """Receives data, stored in `heard`. Reading ends with the piece that reaches the limit."""

    def __init__(
        self,
        connection: TargetConnection,
        limit: int,
        heard: bytearray,
        redactor: Redactor,
        clock: PhaseClock,
        peer: Peer,
        patterns: PatternBudget,
    ) -> None:
        self._patterns = patterns
        self._connection = connection
        self._limit = limit
        self._heard = heard
        self._redactor = redactor
        self._clock = clock
        self._peer = peer
        self._since = 0
        self._route_note, self._judge_incomplete = clock.route_note, clock.judge_incomplete

    async def receive(self, pattern: str) -> None:
        """Read until the pattern is found in the data since the last match.

        Raises ExpectedDataMissing, and what reading raises.
        """
        self._clock.route_note = lambda: f"Expected {self._comparison(pattern)}."
        self._clock.judge_incomplete = lambda limit: self._at_deadline(pattern, limit)
        if self._clock.current in ("connect", "tls"):
            self._clock.enter("first_byte")
        while not await self._finds(pattern):
            if len(self._heard) >= self._limit:
                raise ExpectedDataMissing(
                    f"sent {len(self._heard)} bytes, the limit: expected {self._comparison(pattern)}"
                )
            data = await self._connection.read()
            if not data:
                raise ExpectedDataMissing(f"closed the connection too early: expected {self._comparison(pattern)}")
            self._heard += data
        self._since = len(self._heard)
        self.clear_deadline_texts()

    def clear_deadline_texts(self) -> None:
        """Remove the texts about the last line from the clock."""
        self._clock.route_note, self._clock.judge_incomplete = self._route_note, self._judge_incomplete

    async def _finds(self, pattern: str) -> bool:
        """Raises ExpectedDataMissing: there is no match, and none is possible, or the search takes too long."""
        heard = await self._patterns.search(pattern, bytes(self._heard[self._since :]))
        if heard.undecided:
            raise ExpectedDataMissing(f"sent a text on which {pattern!r} takes too long: {heard.undecided}")
        if not heard.found and self._patterns.is_exhausted:
            raise ExpectedDataMissing(
                f"sent its text in so many pieces that {pattern!r} took more than {PATTERN_SECONDS * 1000:.0f} ms in "
                "all: make the pattern simpler"
            )
        if heard.cannot_match:
            raise ExpectedDataMissing(f"sent something else: expected {self._comparison(pattern)}")
        return heard.found

    def _at_deadline(self, pattern: str, limit: str) -> tuple[ErrorClass, str] | None:
        if len(self._heard) == self._since:
            return None
        message = f"{self._peer} did not send what was expected within {limit}: expected {self._comparison(pattern)}."
        return ErrorClass.EXPECTATION_FAILED, message

    def _comparison(self, pattern: str) -> str:
        # The data may end within a secret. Bytes that are not text are shown as \xff.
        text = self._redactor.redact(self._heard[self._since :].decode("utf-8", "backslashreplace"), cut=True)
        shown = f"'{make_printable(text, 120)}'" if text else "nothing"
        return f"a match of {pattern!r}, received {shown}"


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> TcpCheck:
    """Build the check. Called by jobs.checks."""
    return TcpCheck(
        dependencies.secrets,
        dependencies.redactor,
        dependencies.network,
        dependencies.contexts,
        dependencies.bindings,
        dependencies.judges,
    )


class TcpCheck:
    """Observes TCP targets, for one event loop. The owner of the network and the contexts closes them."""

    def __init__(
        self,
        secrets: Secrets,
        redactor: Redactor,
        network: Network,
        contexts: TlsContexts,
        bindings: Bindings = UNRESTRICTED,
        judges: Judge | None = None,
    ) -> None:
        """`judges`: search received data for patterns; without them the event loop does."""
        self._secrets = secrets
        self._redactor = redactor
        self._network = network
        self._contexts = contexts
        self._bindings = bindings
        self._judges = judges or InlineJudge()

    async def observe(self, target: TcpTarget, call: AttemptContext) -> Observation:
        """Connect and run the dialogue; the received data is the observation's body."""
        peer, clock = Peer(target.host, target.port, target.server_name or ""), call.clock
        received = bytearray()
        try:
            for delivery in deliveries_of_dialogue(target):
                self._bindings.check(delivery.credential, delivery.recipients, call.tags)
            texts = await self._texts(target, call)
            tls = await self._contexts.get_context(target.tls or TlsOptions()) if _has_tls(target) else None
            at_once = tls if target.starts_with_tls else None
            connection = await self._network.connect(
                target.host, target.port, clock, at_once, server_name=peer.tls_name, ip_version=target.ip_version
            )
        except Exception as error:
            return self._failed(error, peer, call)
        patterns = PatternBudget(self._judges, call.run_id.rpartition("@")[0], self._redactor)
        dialogue = TcpDialogue(connection, target.read_limit, received, self._redactor, clock, peer, patterns)
        try:
            for line in target.dialogue:
                match line:
                    case SendLine(send=text):
                        clock.enter("first_byte")
                        await connection.write((texts[text.secret] if isinstance(text, SecretRef) else text).encode())
                    case ReceiveLine(receive=pattern):
                        await dialogue.receive(pattern)
                    case StartTlsLine() if tls is not None:
                        clock.enter("tls")
                        await connection.start_tls(tls, peer.tls_name.rstrip("."))
            session = connection.tls
            facts = {"connected": True, "remote_address": connection.remote_address, **session_facts(session)}
            certificates = shown_certificates(session)
        except Exception as error:
            connection.abort()
            return self._failed(error, peer, call)
        except BaseException:
            connection.abort()
            raise
        finally:
            dialogue.clear_deadline_texts()  # the clock must not refer to the connection
        connection.close()
        phases = clock.stop()
        phases = replace(phases, total_ms=round(max(phases.total_ms - patterns.took_s * 1000, 0.0), 3))
        return Observation(phases, body=bytes(received[: target.read_limit]), facts=facts, certificates=certificates)

    def prepare(self, target: TcpTarget) -> None:
        preload_idna()
        if _has_tls(target):
            preload_tls()
            self._contexts.prepare(target.tls or TlsOptions())

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _texts(self, target: TcpTarget, call: AttemptContext) -> dict[str, str]:
        """Return the secrets that are sent. Raises SecretUnavailable."""
        sent = [line.send for line in target.dialogue if isinstance(line, SendLine)]
        names = [text.secret for text in sent if isinstance(text, SecretRef)]
        if names:
            call.clock.enter("secrets")
        texts = {name: await self._secrets.get_secret(name) for name in names}
        for text in texts.values():
            await register_value(text, call, self._redactor)
        return texts

    def _failed(self, error: Exception, peer: Peer, call: AttemptContext) -> Observation:
        if isinstance(error, ExpectedDataMissing):
            explained: tuple[ErrorClass, str] | None = (ErrorClass.EXPECTATION_FAILED, f"{peer} {error}.")
        else:
            explained = classify_error(error, call.clock.current, peer)
        if explained is None:
            raise error
        error_class, message = explained
        message, shown = self._redactor.redact(message), shown_certificates_of(error)
        return Observation(call.clock.stop(), error=error_class, message=message, certificates=shown)


def _has_tls(target: TcpTarget) -> bool:
    return target.tls is not None or _starts_tls(target)


def _starts_tls(target: TcpTarget) -> bool:
    return any(isinstance(line, StartTlsLine) for line in target.dialogue)
