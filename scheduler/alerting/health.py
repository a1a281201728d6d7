"""Health of alerting: whether rules are evaluated, and whether their notifications would reach a channel.

Probes of scheduler.app.alerting_setup. What only deserves attention, such as a route that matches nothing, is reported
with the status ok.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from jobs.definition.alerting_gaps import (
    MAX_NAMED,
    MISSING_LINKS,
    MISSING_LINKS_FIX,
    AlertingGaps,
    find_alerting_gaps,
)
from jobs.incidents.suppression.finding import SuppressionSet, find_unmatched
from jobs.notifications.port import ChannelState
from jobs.ports import Clock
from scheduler.alerting.delivery.health import ChannelCondition, ChannelHealth, judge_channel
from scheduler.alerting.facts import DefinedFactsSource
from scheduler.alerting.rotas import RotaReader
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.alerting.outbox import OutboxRows, UndeliveredRows
from scheduler.stores.port import StoreError

ALERTING_PART, NOTIFICATIONS_PART = "alerting", "notifications"
GAPS_MAX_AGE = timedelta(minutes=10)
"""For which gaps of the same definitions are not searched again: windows end meanwhile."""


class HasError(Protocol):
    """A part of alerting that works periodically. `error`: of its latest work, empty if it succeeded."""

    @property
    def error(self) -> str: ...


class AlertingHealth:
    """Reports the health of alerting: evaluation, the engine, rotas and channels."""

    def __init__(
        self,
        catalog: Catalog,
        works: Sequence[HasError],
        facts: DefinedFactsSource,
        rotas: RotaReader,
        outbox: OutboxRows,
        undelivered: UndeliveredRows,
        clock: Clock,
        *,
        has_links: bool = True,
    ) -> None:
        """`works`: evaluation, engine. `has_links`: whether the settings have the address for links in messages."""
        self._catalog = catalog
        self._works = works
        self._facts = facts
        self._rotas = rotas
        self._outbox = outbox
        self._undelivered = undelivered
        self._clock = clock
        self._has_links = has_links
        self._found: tuple[JobSnapshot, datetime, AlertingGaps] | None = None

    async def probe_alerting(self) -> Sequence[PartHealth]:
        """Report work that fails, and definitions because of which no channel would be notified."""
        errors = [f"{work.error}; retried" for work in self._works if work.error]
        errors += [f"rota {name}: {text}" for name, text in self._rotas.describe_problems().items()]
        gaps = await self._find_gaps()
        is_degraded = bool(errors or gaps.unrouted_rules or gaps.unknown_names)
        notes = [*errors, *gaps.sentences(), *await self._describe_idle_silences()]
        status = HealthStatus.DEGRADED if is_degraded else HealthStatus.OK
        return (PartHealth(ALERTING_PART, status, " ".join(notes)),)

    async def probe_notifications(self) -> Sequence[PartHealth]:
        """Report channels that fail or have never delivered, and notifications that were given up."""
        defined = self._catalog.snapshot.alerting.channels
        if not defined and not (await self._find_gaps()).unknown_names:
            return (PartHealth(NOTIFICATIONS_PART, HealthStatus.OK, "no channel is defined"),)
        try:
            states, letters = await asyncio.gather(self._outbox.list_channel_states(), self._undelivered.count())
        except StoreError as error:
            return (PartHealth(NOTIFICATIONS_PART, HealthStatus.DEGRADED, f"not known: {error}"),)
        by_name, now = {state.channel: state for state in states}, self._clock.now()
        channels = [
            judge_channel(
                by_name.get(name, ChannelState(name)),
                now,
                given_up_recently=letters.get(name, 0),
                is_defined=name in defined,
            )
            for name in sorted({*defined, *letters})
        ]
        status = HealthStatus.DEGRADED if any(each.is_degraded for each in channels) else HealthStatus.OK
        notes = [_describe_channels(channels)]
        if defined and not self._has_links:
            notes.append(f"{MISSING_LINKS}: {MISSING_LINKS_FIX}")
        return (PartHealth(NOTIFICATIONS_PART, status, "; ".join(filter(None, notes))),)

    async def _find_gaps(self) -> AlertingGaps:
        snapshot, now = self._catalog.snapshot, self._clock.now()
        last_gaps = self._found
        if last_gaps is None or last_gaps[0] is not snapshot or now - last_gaps[1] > GAPS_MAX_AGE:
            jobs = [entry.job for entry in snapshot]
            gaps = await asyncio.to_thread(find_alerting_gaps, jobs, snapshot.alerting, now)
            last_gaps = self._found = snapshot, now, gaps
        return last_gaps[2]

    async def _describe_idle_silences(self) -> list[str]:
        """Describe silences and requested windows that select nothing."""
        book = RuleBook(self._catalog.snapshot)
        found = await self._facts.read_suppressions(book)
        requested = SuppressionSet((), found.requested, found.silences)
        if not requested.sources:
            return []
        subjects = [book.describe(name) for name in (*book.snapshot.names(), *book.groups, *book.objectives)]
        unmatched = find_unmatched(requested, subjects, self._clock.now())
        return [f"the {each} selects no job and no group." for each in unmatched]


def _describe_channels(channels: Iterable[ChannelHealth]) -> str:
    listed = [each for each in channels if each.is_degraded or each.condition is not ChannelCondition.WORKING]
    listed.sort(key=lambda each: not each.is_degraded)
    texts = [f"channel {each.channel} {each.text}" for each in listed[:MAX_NAMED]]
    if len(listed) > MAX_NAMED:
        texts.append(f"and {len(listed) - MAX_NAMED} more")
    return "; ".join(texts)
