"""Proposed thresholds as text and as JSON. Used by scheduler.cli.commands.alerts.group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobs.formats.durations import format_duration
from scheduler.cli.output import Column, is_terminal, print_note, show_table, show_tabs

if TYPE_CHECKING:
    from scheduler.alerting.backtest.advice import Advice, Alternative

_FIELDS = ("open_after", "close_after", "for", "notifications", "missed", "p50", "p95", "")
_SHOWN = 12


def show_advice(advice: Advice) -> None:
    """Show the best alternatives, and the rule to copy."""
    shown = list(advice.alternatives[:_SHOWN])
    if advice.current is not None and advice.current not in shown:
        shown.append(advice.current)
    rows = [_row(each) for each in shown]
    if is_terminal():
        show_table(tuple(map(Column, _FIELDS)), rows)
    else:
        show_tabs((*_FIELDS[:-1], "is"), rows)
    within = format_duration(advice.detect_within.total_seconds())
    print_note(f"{advice.job}: {advice.outages} outages of at least {within}, {advice.blips} shorter failures")
    for note in advice.notes:
        print_note(f"note: {note}")
    best = advice.best
    if best is None:
        print_note(f"no combination notifies of every outage within {within}: shorten the schedule, or allow more time")
    elif best.candidate.is_current:
        print_note("the rule in force is the best of these")
    else:
        print(format_rule(best))


def format_rule(alternative: Alternative) -> str:
    """Return the rule as a member of `alerts`."""
    fields = ", ".join(f"{key}: {value}" for key, value in alternative.candidate.fields.items())
    return f"alerts:\n  - {{{fields}}}"


def _row(each: Alternative) -> tuple[str, ...]:
    candidate = each.candidate
    return (
        str(candidate.open_after),
        "" if candidate.close_after is None else str(candidate.close_after),
        format_duration(candidate.for_) if candidate.for_ else "",
        str(each.notifications),
        str(each.missed),
        _time(each.percentile(0.5)),
        _time(each.percentile(0.95)),
        "in force" if candidate.is_current else "",
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(float(round(seconds)))


def advice_to_json(advice: Advice) -> str:
    document = {
        "job": advice.job,
        "since": advice.since.isoformat(),
        "until": advice.until.isoformat(),
        "detect_within_seconds": advice.detect_within.total_seconds(),
        "outages": advice.outages,
        "shorter_failures": advice.blips,
        "best": None if advice.best is None else _fields(advice.best),
        "alternatives": [_fields(each) for each in advice.alternatives],
        "notes": list(advice.notes),
    }
    return json.dumps(document, indent=2)


def _fields(each: Alternative) -> dict[str, Any]:
    return {
        "rule": each.candidate.fields,
        "is_in_force": each.candidate.is_current,
        "notifications": each.notifications,
        "missed": each.missed,
        "detected_p50_seconds": each.percentile(0.5),
        "detected_p95_seconds": each.percentile(0.95),
    }
