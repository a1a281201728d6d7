"""What the page of maintenance shows of silences and windows, in one form. Called by maintenance_page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.incidents.suppression.windows import RequestedWindow, Silence, WindowEffect
from scheduler.api.models.alerting.suppressions import SilenceModel, WindowModel
from scheduler.identity.principal import Principal
from scheduler.queries.alerting.suppressions import DefinedWindowView, SuppressionState, SuppressionView
from scheduler.queries.alerting.window_texts import describe_recurrence, describe_selector
from scheduler.services import Services

MAX_LISTED = 200
"""Silences, and requested windows, that have not ended."""
MAX_ENDED = 50
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class SuppressionEntry:
    """`call`: the path of the API, empty for a window of a job file, whose place is `origin`. `recreate`: the body that
    creates it anew. `jobs`: those that it concerns now.
    """

    kind: str
    name: str
    state: SuppressionState
    begins_at: datetime | None
    ends_at: datetime | None
    scope: str
    recurrence: str
    jobs: tuple[str, ...]
    reason: str
    change_id: str = ""
    author: str = ""
    origin: str = ""
    pauses: bool = False
    only_then: bool = False
    limited_to: str = ""
    call: str = ""
    recreate: dict[str, Any] | None = None

    @property
    def holds_back(self) -> bool:
        """Return whether it holds notifications back now."""
        return (self.state is SuppressionState.ACTIVE) is not self.only_then


@dataclass(frozen=True, slots=True)
class SuppressionLists:
    """`ended`: the newest first. `is_cut`: more exist than were read."""

    active: tuple[SuppressionEntry, ...]
    pending: tuple[SuppressionEntry, ...]
    ended: tuple[SuppressionEntry, ...]
    is_cut: bool


async def read_suppressions(uses: Services, principal: Principal, *, ended: bool) -> SuppressionLists:
    """Return the windows and silences that have not ended. `ended`: those that have, in addition. Raises StoreError."""
    queries = uses.suppressions
    windows, silences = await asyncio.gather(
        queries.list_windows(principal, limit=MAX_LISTED), queries.list_silences(principal, limit=MAX_LISTED)
    )
    entries = [await _from_defined(uses, each) for each in queries.list_defined_windows()]
    entries += [await _from_window(uses, each) for each in windows.found]
    entries += [await _from_silence(uses, each) for each in silences.found]
    over = [each for each in entries if each.state is SuppressionState.ENDED]
    if ended:
        older_windows, older_silences = await asyncio.gather(
            queries.list_ended_windows(principal, MAX_ENDED), queries.list_ended_silences(principal, MAX_ENDED)
        )
        over += [await _from_window(uses, each) for each in older_windows]
        over += [await _from_silence(uses, each) for each in older_silences]
    return SuppressionLists(
        _sort((each for each in entries if each.state is SuppressionState.ACTIVE), lambda each: each.ends_at),
        _sort((each for each in entries if each.state is SuppressionState.PENDING), lambda each: each.begins_at),
        _sort(over, lambda each: each.ends_at)[::-1],
        windows.continuation is not None or silences.continuation is not None,
    )


def _sort(entries: Iterable[SuppressionEntry], key: Any) -> tuple[SuppressionEntry, ...]:
    """Sort by an instant; without one last."""
    return tuple(sorted(entries, key=lambda each: (key(each) is None, key(each) or 0, each.name)))


async def _from_defined(uses: Services, view: DefinedWindowView) -> SuppressionEntry:
    window = view.window
    jobs = view.jobs if view.jobs is not None else await uses.suppression_coverage.list_jobs(window.select)
    return SuppressionEntry(
        "window",
        window.name,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(window.select) if view.jobs is None else "some of your jobs",
        describe_recurrence(window),
        jobs,
        window.reason,
        window.change_id,
        origin=view.origin,
        pauses=window.effect is WindowEffect.PAUSE,
        only_then=window.only_then,
    )


async def _from_window(uses: Services, view: SuppressionView[RequestedWindow]) -> SuppressionEntry:
    requested, window, model = view.value, view.value.window, WindowModel.from_view(view)
    recurrence = describe_recurrence(window)
    recreate = dict(model.definition)
    if not recurrence and view.state is SuppressionState.ACTIVE and view.ends_at is not None:
        # What has started is created anew from now on.
        recreate = {name: value for name, value in recreate.items() if name not in ("from", "for", "timezone")}
        recreate["until"] = view.ends_at.isoformat()
    return SuppressionEntry(
        "window",
        requested.name,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(window.select),
        recurrence,
        await uses.suppression_coverage.list_jobs(window.select, requested.limited_to),
        window.reason,
        window.change_id,
        requested.author,
        pauses=window.effect is WindowEffect.PAUSE,
        limited_to=", ".join(model.limited_to),
        call=model.url,
        recreate=recreate,
    )


async def _from_silence(uses: Services, view: SuppressionView[Silence]) -> SuppressionEntry:
    silence, model = view.value, SilenceModel.from_view(view)
    recreate = {"select": model.select, "ends_at": silence.ends_at.isoformat(), "reason": silence.reason}
    if view.state is SuppressionState.PENDING:
        recreate["starts_at"] = silence.starts_at.isoformat()
    return SuppressionEntry(
        "silence",
        silence.title,
        view.state,
        view.begins_at,
        view.ends_at,
        describe_selector(silence.select),
        "",
        await uses.suppression_coverage.list_jobs(silence.select, silence.limited_to),
        silence.reason,
        author=silence.author,
        limited_to=", ".join(model.limited_to),
        call=model.url,
        recreate=recreate,
    )
