"""Compares what would have been notified with what was. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from scheduler.features.backtest.messages import IncidentHistory, NotifiedMessage

SAME_WITHIN = timedelta(seconds=90)
"""A timer of one minute, and the time that a run takes to be recorded."""
_NEAR = timedelta(minutes=15)
"""Between two incidents about the same subject that do not overlap."""


class Difference(StrEnum):
    SAME = "same"
    NEW = "new"
    GONE = "gone"
    EARLIER = "earlier"
    LATER = "later"


@fast_frozen(frozen=True, slots=True)
class ComparedMessage:
    """`was`, `would_be`: None in one of them: the message is gone, or new."""

    subject: str
    rule: str
    channel: str
    kind: str
    was: datetime | None
    would_be: datetime | None
    text: str = ""

    @property
    def shift(self) -> timedelta:
        return timedelta() if self.was is None or self.would_be is None else self.would_be - self.was

    @property
    def difference(self) -> Difference:
        if self.was is None:
            return Difference.NEW
        if self.would_be is None:
            return Difference.GONE
        if abs(self.shift) <= SAME_WITHIN:
            return Difference.SAME
        return Difference.LATER if self.shift > timedelta() else Difference.EARLIER

    @property
    def at(self) -> datetime:
        found = self.would_be or self.was
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class MessageComparison:
    """In the order of time."""

    messages: tuple[ComparedMessage, ...]

    def count(self, difference: Difference) -> int:
        return sum(each.difference is difference for each in self.messages)

    @property
    def is_same(self) -> bool:
        return all(each.difference is Difference.SAME for each in self.messages)

    @property
    def by_channel(self) -> dict[str, tuple[int, int]]:
        """Messages by channel: those that were sent, and those that would be."""
        was = Counter(each.channel for each in self.messages if each.was is not None)
        would_be = Counter(each.channel for each in self.messages if each.would_be is not None)
        return {channel: (was[channel], would_be[channel]) for channel in sorted({*was, *would_be})}


def compare(was: Sequence[IncidentHistory], would_be: Sequence[IncidentHistory]) -> MessageComparison:
    """Pair the incidents of the same subject that overlap, and their messages to the same channel."""
    found: list[ComparedMessage] = []
    for old, new in _pair(was, would_be):
        found += _compare_messages(old, new)
    return MessageComparison(tuple(sorted(found, key=lambda each: (each.at, each.subject, each.channel, each.kind))))


def _pair(
    was: Sequence[IncidentHistory], would_be: Sequence[IncidentHistory]
) -> Iterable[tuple[IncidentHistory | None, IncidentHistory | None]]:
    waiting: defaultdict[str, list[IncidentHistory]] = defaultdict(list)
    for each in sorted(would_be, key=_begin_of):
        waiting[each.subject].append(each)
    for old in sorted(was, key=_begin_of):
        near = [new for new in waiting[old.subject] if _distance(old, new) <= _NEAR]
        new = min(near, key=lambda one: (one.incident.lead != old.incident.lead, _distance(old, one)), default=None)
        if new is not None:
            waiting[old.subject].remove(new)
        yield old, new
    for rest in waiting.values():
        for new in rest:
            yield None, new


def _begin_of(history: IncidentHistory) -> datetime:
    return history.incident.opened_at


def _distance(first: IncidentHistory, other: IncidentHistory) -> timedelta:
    """Return the time between two incidents, and a part of that between their openings."""
    ends = [each.incident.resolved_at or datetime.max.replace(tzinfo=_begin_of(each).tzinfo) for each in (first, other)]
    gap = max(_begin_of(other) - ends[0], _begin_of(first) - ends[1], timedelta())
    return gap + abs(_begin_of(first) - _begin_of(other)) / 1_000_000


def _compare_messages(old: IncidentHistory | None, new: IncidentHistory | None) -> Iterable[ComparedMessage]:
    either = new or old
    assert either is not None
    lead = either.incident.lead
    for (channel, kind), (before, after) in _by_kind(old, new).items():
        for place in range(max(len(before), len(after))):
            was = before[place] if place < len(before) else None
            would_be = after[place] if place < len(after) else None
            text = (would_be or was).text  # type: ignore[union-attr]
            yield ComparedMessage(
                lead.subject,
                lead.rule,
                channel,
                kind,
                None if was is None else was.at,
                None if would_be is None else would_be.at,
                text,
            )


def _by_kind(
    old: IncidentHistory | None, new: IncidentHistory | None
) -> dict[tuple[str, str], tuple[list[NotifiedMessage], list[NotifiedMessage]]]:
    found: dict[tuple[str, str], tuple[list[NotifiedMessage], list[NotifiedMessage]]] = {}
    for side, history in enumerate((old, new)):
        for each in () if history is None else history.messages:
            found.setdefault((each.channel, str(each.kind)), ([], []))[side].append(each)
    return found
