"""What changed alert rules of a plan would have notified, against what was. Called by `plan --alerts-since`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import escape_controls, fail, print_note, show_tabs

if TYPE_CHECKING:
    from scheduler.cli.delivery.port import AlertMessage, AlertReplay

_FIELDS = ("at", "job", "rule", "channel", "message", "difference")


class PlanAlerts(NamedTuple):
    """The section that the option adds. `replay` None: no job changes its alerts."""

    replay: AlertReplay | None


def parse_alerts_since(since: str) -> datetime:
    """Return the begin of the replay; an invalid one ends the command with 2."""
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

    try:
        found = parse_time_range(since, None, datetime.now(UTC)).since
    except InvalidTimeRange as error:
        fail(f"--alerts-since: {error}")
    assert found is not None
    return found


def alerts_to_document(alerts: PlanAlerts) -> dict[str, Any] | None:
    """Return the fields of `alerts backtest --json`, or those that a server returns; None without a changed job."""
    from scheduler.cli.commands.alerts.backtest_text import report_to_document

    replay = alerts.replay
    if replay is None:
        return None
    if replay.report is not None:
        return report_to_document(replay.report, UTC)
    return {
        "since": format_iso_instant(replay.since),
        "is_same": all(each.difference == "same" for each in replay.messages),
        "messages": [dict(zip(_FIELDS, _row(each), strict=True)) for each in replay.messages],
        "summary": {"sent": replay.sent, "would_be_sent": replay.would_be_sent},
        "notes": list(replay.notes),
    }


def show_plan_alerts(alerts: PlanAlerts) -> None:
    """Print the messages that were or would be sent, after a heading."""
    from scheduler.cli.commands.alerts.backtest_text import show_report

    replay = alerts.replay
    if replay is None:
        print("alerts: no job changes its alerts, alert parents or tags")
        return
    print(escape_controls(f"alerts of {', '.join(sorted(replay.subjects))}: what was notified, and what would be"))
    if replay.report is not None:
        show_report(replay.report, UTC)
        return
    show_tabs(_FIELDS, map(_row, replay.messages))
    since = format_iso_instant(replay.since)
    print_note(f"from {since}: {replay.sent} messages were sent, {replay.would_be_sent} would be")
    for note in replay.notes:
        print_note(f"note: {note}")


def _row(message: AlertMessage) -> tuple[str, ...]:
    at = format_iso_instant(message.at)
    return at, message.job, message.rule, message.channel, message.kind, message.difference
