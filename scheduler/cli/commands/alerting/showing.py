"""Incidents as a table, as lines, and one with all its details. Used by the command `incidents`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.formats.instants import format_iso_instant
from jobs.incidents.headline import count_by_severity, find_keeping_open, sort_members
from scheduler.cli.output import Cell, Column, escape_controls, is_terminal, print_note, show_table, show_tabs
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from jobs.incidents.values import AlertDecision, Incident
    from scheduler.queries.alerting.incidents import IncidentDetails, IncidentView
    from scheduler.queries.alerting.member_facts import MemberFacts

_STYLES = {"open": "bold red", "resolved": "green"}
_SEVERITY_STYLES = {"down": "bold red", "degraded": "yellow", "blind": "magenta", "info": "dim"}
_FIELDS = ("id", "status", "severity", "subject", "rule", "since", "resolved", "alerts", "handling", "evidence")
_DECISION_FIELDS = ("at", "code", "subject", "text")


def show_incidents(views: Sequence[IncidentView]) -> None:
    if not is_terminal():
        show_tabs(_FIELDS, map(_fields, views))
    elif views:
        columns = (
            Column("id", "bold"),
            Column("status"),
            Column("severity"),
            Column("subject"),
            Column("since"),
            Column("alerts", align_right=True, is_optional=True),
            Column("what", no_wrap=False, min_width=24),
            Column("handling", no_wrap=False, min_width=16, is_optional=True),
        )
        show_table(columns, map(_cells, views))


def show_incident_details(details: IncidentDetails) -> None:
    """Key and value a line, then the alerts and the history."""
    from scheduler.queries.alerting.member_facts import NO_FACTS

    incident = details.view.incident
    for name, value in _describe(details.view, details.facts.get(incident.leading.key, NO_FACTS)):
        if value:
            print(f"{name}: {escape_controls(value)}")
    if len(incident.members) > 1:
        print("alerts:")
        for member in sort_members(incident):
            behind = f" (behind {member.parent})" if member.parent else ""
            end = "" if member.resolved_at is None else f", recovered {format_iso_instant(member.resolved_at)}"
            since = format_iso_instant(member.failing_since)
            print(
                escape_controls(
                    f"  {member.key.subject} {member.key.rule} since {since}{end}{behind}: {member.evidence}"
                )
            )
            for name, value in _describe_facts(details.facts[member.key]):
                if value and member.key != incident.leading.key:
                    print(escape_controls(f"    {name}: {value}"))
    print("history:")
    for each in details.transitions:
        print(escape_controls(f"  {format_iso_instant(each.at)} {each.kind.replace('_', ' ')}: {each.text}"))
    if details.continuation:
        print_note(f"the first {len(details.transitions)} entries; GET {_path(incident)}/transitions has all")


def show_decisions(decisions: Sequence[AlertDecision]) -> None:
    rows = [
        (format_iso_instant(each.at), each.code, each.key.subject if each.key else "", each.text) for each in decisions
    ]
    if not is_terminal():
        show_tabs(_DECISION_FIELDS, rows)
        return
    columns = (
        Column("at"),
        Column("decision", "bold"),
        Column("subject", is_optional=True),
        Column("why", no_wrap=False, min_width=24),
    )
    show_table(columns, rows)


def _describe(view: IncidentView, facts: MemberFacts) -> list[tuple[str, str]]:
    incident = view.incident
    last = find_keeping_open(incident)
    resolved_by = f" by {incident.resolved_by}" if incident.resolved_by else ""
    end = "" if incident.resolved_at is None else f"{format_iso_instant(incident.resolved_at)}{resolved_by}"
    channels = ", ".join(dict.fromkeys(each.channel for each in incident.announced))
    return [
        ("id", incident.id),
        ("status", incident.status.value),
        ("severity", incident.severity),
        ("subject", incident.leading.key.subject),
        ("rule", incident.leading.key.rule),
        ("what", incident.leading.evidence),
        *_describe_facts(facts),
        ("open because of", "" if last is None else f"only the rule {last.key.rule} of {last.key.subject}"),
        ("affected", count_by_severity(incident)),
        ("cause", incident.cause),
        ("failing since", format_iso_instant(incident.failing_since)),
        ("opened", format_iso_instant(incident.opened_at)),
        ("reopened", "" if incident.reopened_at is None else format_iso_instant(incident.reopened_at)),
        ("resolved", end),
        ("notified", channels or "no channel"),
        ("notifications", view.suppression),
        ("handling", view.handling),
        ("flapping since", "" if incident.flapping_since is None else format_iso_instant(incident.flapping_since)),
    ]


def _describe_facts(facts: MemberFacts) -> list[tuple[str, str]]:
    return [
        ("target", facts.target),
        ("description", facts.description),
        ("expected", facts.expected),
        ("observed", facts.observed),
        ("the target answered", f'"{facts.answer}"' if facts.answer else ""),
    ]


def _cells(view: IncidentView) -> tuple[Cell, ...]:
    incident = view.incident
    status = incident.status.value
    return (
        incident.id,
        (status, _STYLES[status]),
        (incident.severity, _SEVERITY_STYLES.get(incident.severity, "")),
        incident.leading.key.subject,
        format_local(incident.failing_since),
        str(len(incident.members)),
        incident.leading.evidence,
        view.handling or view.suppression,
    )


def _fields(view: IncidentView) -> tuple[str, ...]:
    incident = view.incident
    return (
        incident.id,
        incident.status.value,
        incident.severity,
        incident.leading.key.subject,
        incident.leading.key.rule,
        format_iso_instant(incident.failing_since),
        "" if incident.resolved_at is None else format_iso_instant(incident.resolved_at),
        str(len(incident.members)),
        view.handling or view.suppression,
        incident.leading.evidence,
    )


def _path(incident: Incident) -> str:
    return f"/api/incidents/{incident.id}"
