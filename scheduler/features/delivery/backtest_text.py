"""A backtest as text and as JSON, for `alerts backtest` and `plan`."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from jobs.formats import format_count, format_duration, format_iso_instant
from scheduler.cli.output import Column, is_terminal, print_note, show_table, show_tabs

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.features.backtest.comparison import ComparedMessage
    from scheduler.features.backtest.service import BacktestReport

_FIELDS = ("at", "subject", "rule", "channel", "message", "difference", "text")
_NIGHT = (22, 7)
"""Local hours: from, to."""


def show_report(report: BacktestReport, zone: tzinfo) -> None:
    """Show the messages that were or would be sent, and the counts."""
    rows = [_row(each) for each in report.comparison.messages]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
    elif rows:
        columns = (*map(Column, _FIELDS[:-1]), Column("text", no_wrap=False, is_optional=True))
        show_table(columns, rows)
    for line in _summarize(report, zone):
        print_note(line)
    for note in report.notes:
        print_note(f"note: {note}")


def describe_difference(message: ComparedMessage) -> str:
    """`same`, `new`, `gone`, `later by 4m`."""
    difference = str(message.difference)
    if difference not in ("later", "earlier"):
        return difference
    seconds = abs(message.shift).total_seconds()
    return f"{difference} by {format_duration(float(round(seconds / 60) * 60 if seconds >= 60 else round(seconds)))}"


def _row(message: ComparedMessage) -> tuple[str, ...]:
    return (
        format_iso_instant(message.at),
        message.subject,
        message.rule,
        message.channel,
        message.kind,
        describe_difference(message),
        message.text,
    )


def _summarize(report: BacktestReport, zone: tzinfo) -> list[str]:
    messages, request = report.comparison.messages, report.request
    counts = Counter(str(each.difference) for each in messages)
    differences = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
    was, would_be = _instants(messages)
    lines = [
        f"from {format_iso_instant(request.since)} to {format_iso_instant(request.until)}: "
        f"{format_count(len(was), 'message was', 'messages were')} sent, {len(would_be)} would be: {differences}"
    ]
    for channel, (before, after) in report.comparison.by_channel.items():
        lines.append(f"{channel}: {format_count(before, 'message')}, {after} would be")
    weeks = max((request.until - request.since) / timedelta(weeks=1), 1 / 7)
    lines.append(f"per week: {len(was) / weeks:.1f}, {len(would_be) / weeks:.1f} would be")
    nights = _count_nights(was, zone), _count_nights(would_be, zone)
    lines.append(f"at night ({_NIGHT[0]}:00 to {_NIGHT[1]}:00): {nights[0]}, {nights[1]} would be")
    return lines


def _instants(messages: tuple[ComparedMessage, ...]) -> tuple[list[datetime], list[datetime]]:
    was = [each.was for each in messages if each.was is not None]
    return was, [each.would_be for each in messages if each.would_be is not None]


def _count_nights(instants: list[datetime], zone: tzinfo) -> int:
    begin, end = _NIGHT
    hours = [each.astimezone(zone).hour for each in instants]
    return sum(hour >= begin or hour < end for hour in hours)


def report_to_document(report: BacktestReport, zone: tzinfo) -> dict[str, Any]:
    """Return the fields of --json."""
    was, would_be = _instants(report.comparison.messages)
    weeks = max((report.request.until - report.request.since) / timedelta(weeks=1), 1 / 7)
    return {
        "since": format_iso_instant(report.request.since),
        "until": format_iso_instant(report.request.until),
        "is_same": report.comparison.is_same,
        "messages": [_message_fields(each) for each in report.comparison.messages],
        "summary": {
            "sent": len(was),
            "would_be_sent": len(would_be),
            "per_week": [round(len(was) / weeks, 1), round(len(would_be) / weeks, 1)],
            "at_night": [_count_nights(was, zone), _count_nights(would_be, zone)],
            "by_channel": {name: list(counts) for name, counts in report.comparison.by_channel.items()},
        },
        "runs_read": report.runs_read,
        "runs_estimated": report.runs_estimated,
        "notes": list(report.notes),
    }


def report_to_json(report: BacktestReport, zone: tzinfo) -> str:
    return json.dumps(report_to_document(report, zone), indent=2)


def _message_fields(message: ComparedMessage) -> dict[str, Any]:
    return {
        "subject": message.subject,
        "rule": message.rule,
        "channel": message.channel,
        "kind": message.kind,
        "difference": str(message.difference),
        "shift_seconds": message.shift.total_seconds(),
        "was": None if message.was is None else format_iso_instant(message.was),
        "would_be": None if message.would_be is None else format_iso_instant(message.would_be),
        "text": message.text,
    }
