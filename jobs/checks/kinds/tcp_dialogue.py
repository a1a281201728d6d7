"""What a TCP check receives on a connection, and the patterns it waits for. Built by tcp.py."""

from __future__ import annotations

import time

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import ExpectedDataMissing
from jobs.checks.kinds.tcp_pattern_search import PatternSearch, PatternSearchResult
from jobs.checks.net.connection import TargetConnection
from jobs.checks.peer import Peer
from jobs.judging import Judge
from jobs.problems import make_printable
from jobs.redaction import Redactor
from jobs.runs import ErrorClass

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
