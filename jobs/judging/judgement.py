"""The task of judging one answer by the entries of an `expect`. Made by jobs.running and jobs.checks. Pure.

A health document leaves the judging process as JSON. Of an entry that is up, as most are, only its name does, if that
is all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jobs.expectations import ExpectationEntry, judge
from jobs.expectations.judging import is_brief, undecided_failure
from jobs.judging.port import OnPartStarted
from jobs.redaction import Redact
from jobs.runs import Failure, Observation, Severity
from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail, ReportedEntry


def pack_health(health: HealthDetail) -> Any:
    """Return a JSON value."""
    entries = [
        entry.name
        if entry == ReportedEntry(entry.name, EntryStatus.UP, health.word)
        else [entry.name, entry.status, entry.word, entry.text, entry.duration_ms, entry.observed, entry.effect]
        for entry in health.entries
    ]
    return [health.word, health.status.value, entries, health.entry_count]


def unpack_health(packed: Any) -> HealthDetail:
    """Return the document of such a value."""
    word, status, entries, count = packed
    return HealthDetail(word, EntryStatus(status), tuple(_unpack_entry(entry, word) for entry in entries), count)


def _unpack_entry(packed: Any, word: str) -> ReportedEntry:
    if isinstance(packed, str):
        return ReportedEntry(packed, EntryStatus.UP, word)
    name, status, own, text, took, observed, effect = packed
    return ReportedEntry(name, EntryStatus(status), own, text, took, observed, EntryEffect(effect))


@dataclass(frozen=True, slots=True)
class ExpectationVerdict:
    """The expectations that failed, and the health document of the answer, whose texts are not redacted."""

    failures: tuple[Failure, ...]
    health: HealthDetail | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Judge an answer by the entries of `expect`, as a judging task.

    `__reduce__` copies the mappings of the observation, which can be read-only views.
    """

    observation: Observation
    expect: tuple[ExpectationEntry, ...]

    @property
    def size(self) -> int:
        return len(self.observation.body)

    def is_brief(self) -> bool:
        return is_brief(self.observation, self.expect)

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> ExpectationVerdict:
        read: list[HealthDetail] = []
        failures = judge(self.observation, self.expect, redact, on_part_started, read.append)
        return ExpectationVerdict(failures, read[-1] if read else None)

    def pack(self, result: ExpectationVerdict) -> Any:
        failures = [
            [failure.expectation, failure.expected, failure.observed, failure.severity.value]
            for failure in result.failures
        ]
        return [failures, None if result.health is None else pack_health(result.health)]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> ExpectationVerdict:
        failures, health = packed
        unpacked = tuple(
            Failure(expectation, complete(expected), complete(observed), Severity(severity))
            for expectation, expected, observed, severity in failures
        )
        return ExpectationVerdict(unpacked, None if health is None else unpack_health(health))

    def undecided(self, part: int, why: str) -> ExpectationVerdict:
        return ExpectationVerdict((undecided_failure(self.keys, part, why),))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its entries, in their order."""
        return tuple(entry.entry_key() for entry in self.expect)

    def __reduce__(self) -> tuple[Any, ...]:
        observed = self.observation
        return Judgement, (
            replace(observed, headers=dict(observed.headers), facts=dict(observed.facts), failures=()),
            self.expect,
        )
