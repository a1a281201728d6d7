"""What would have been notified without what held it back: by replays without it. Pure.

Used by scheduler.alerting.explanation.explaining.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.incidents.routes import Route, RouteTimes
from jobs.incidents.routing import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.values import Suppression, SuppressionKind, Transition, TransitionKind
from scheduler.alerting.explanation.absence import Circumstances
from scheduler.alerting.replay.definitions import ReplayDefinitions
from scheduler.alerting.rule_book import RuleBook
from scheduler.features.backtest.messages import IncidentHistory
from scheduler.features.backtest.service import PreparedBacktest

_ENTERING = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.JOINED, TransitionKind.RAISED})

_ANNOUNCING = frozenset({"announced", "released", "announced_joined"})


class _BookWithoutParents(RuleBook):
    def parents_of(self, subject: str) -> Sequence[str]:
        return ()


def describe_counterfactuals(prepared: PreparedBacktest, found: Circumstances) -> Iterator[str]:
    """Yield for instance: `silent until 06:00; without that it would have opened at 03:02 ...`."""
    opened = found.open_incident()
    parent = "" if opened is None else opened[1].parent
    if parent:
        definitions = replace(prepared.definitions, book=_BookWithoutParents(prepared.definitions.book.snapshot))
        text = _describe_opening(prepared, definitions, found)
        yield f"without the parent {parent} {text}"
    suppression = _find_suppression(found)
    if suppression is not None:
        text = _describe_opening(prepared, _without_suppressions(prepared.definitions), found)
        until = "" if suppression.until is None else f" until {_clock(suppression.until, found.at)}"
        yield f"{_KINDS.get(suppression.kind, 'held back')}{until} ({suppression.title}); without that {text}"


_KINDS = {
    SuppressionKind.WINDOW: "in a maintenance window",
    SuppressionKind.SILENCE: "silent",
    SuppressionKind.MUTE_TIME: "muted",
}


def _find_suppression(found: Circumstances) -> Suppression | None:
    opened = found.open_incident()
    held = None if opened is None else opened[0].incident.suppression
    if held is not None and held.kind in _KINDS:
        return held
    return next((rule.held_back_by for rule in found.rules if rule.held_back_by is not None), None)


def _without_suppressions(definitions: ReplayDefinitions) -> ReplayDefinitions:
    routes = tuple(_without_mute(route) for route in definitions.routing.routes)
    table = RoutingTable(routes, definitions.routing.rotas)
    return ReplayDefinitions(definitions.book, SuppressionSet(), table, definitions.group_wait)


def _without_mute(route: Route) -> Route:
    return route.model_copy(update={"time": RouteTimes(only=route.time.only)}) if route.time.mute else route


def _describe_opening(prepared: PreparedBacktest, definitions: ReplayDefinitions, found: Circumstances) -> str:
    opening = _find_opening(prepared.replay(definitions), found)
    if opening is None:
        return "nothing would have been notified until then"
    history, transition, channels = opening
    notified = f"and notified {', '.join(channels)}" if channels else "without a notification"
    if history.subject != found.job:
        cause = f" because of the same {history.incident.cause}" if history.incident.cause else ""
        return (
            f"it would have joined the incident of {history.subject}{cause} at {_clock(transition.at, found.at)} "
            f"{notified}"
        )
    reason = transition.text.partition(": ")[2] or transition.text
    return f"it would have opened at {_clock(transition.at, found.at)} {notified}: {reason}"


def _find_opening(
    histories: Sequence[IncidentHistory], found: Circumstances
) -> tuple[IncidentHistory, Transition, list[str]] | None:
    """Return the latest opening before the instant, or the latest joining, with the channels that it notifies."""
    entered = [
        (history, each)
        for history in histories
        for each in history.transitions
        if each.key is not None and each.key.subject == found.job and each.at <= found.at and each.kind in _ENTERING
    ]
    if not entered:
        return None
    history, latest = max(entered, key=lambda each: each[1].at)
    sent = [each for each in history.messages if latest.at <= each.at <= found.at and str(each.kind) != "resolved"]
    first = min((each.at for each in sent), default=None)
    return history, latest, [each.channel for each in sent if each.at == first] or _list_announced(history, latest)


def _list_announced(history: IncidentHistory, entered: Transition) -> list[str]:
    """Return the channels that were notified of an alert first: the messages of another job's incident are not read."""
    found = (each for each in history.decisions if each.at >= entered.at and each.code in _ANNOUNCING)
    channels = next((each.inputs.get("channels", "") for each in found), "")
    return channels.split(", ") if channels else []


def _clock(moment: datetime, at: datetime) -> str:
    is_near = abs(moment - at) < timedelta(hours=18)
    return f"{moment:%H:%M:%S} UTC" if is_near else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
