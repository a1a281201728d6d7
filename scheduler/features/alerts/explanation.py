"""The explanation of the alerts of a job at an instant, as values and as fields of JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.formats import format_iso_instant
from jobs.incidents.values import Suppression


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """`rule`: such as `failed: open_after 3 of 5`. `status`: of its alert at the instant; `evidence`: the numbers then.

    `needed`: what was missing for the alert to fire; empty if it fires, or if unknown. `held_back_by`: what
    holds back its notifications then. `channels`: which would be notified, and by which rule or route.
    """

    name: str
    rule: str
    status: str
    evidence: str
    since: datetime | None = None
    needed: str = ""
    channels: tuple[str, ...] = ()
    routing: str = ""
    held_back_by: Suppression | None = None


@dataclass(frozen=True, slots=True)
class IncidentExplanation:
    """`lines`: what happened with the alerts of the job in it, the oldest first."""

    id: str
    status: str
    lead: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertExplanation:
    """`summary`: the answer in one or two sentences. `reasons`: why nothing was notified, the most important first.

    `origin`: from where the rules are. `counterfactuals`: what would have happened without what held something back.
    """

    job: str
    at: datetime
    origin: str
    summary: str
    rules: tuple[RuleExplanation, ...] = ()
    incidents: tuple[IncidentExplanation, ...] = ()
    reasons: tuple[str, ...] = ()
    counterfactuals: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        """Return the text for people."""
        found = [self.summary, "", f"Rules: {self.origin}"]
        for rule in self.rules:
            found += _describe_rule(rule)
        for title, texts in (
            ("What prevents notifications", self.reasons),
            ("Otherwise", self.counterfactuals),
            ("Notes", self.notes),
        ):
            if texts:
                found += ["", f"{title}:", *(f"  {text}" for text in texts)]
        for incident in self.incidents:
            found += ["", f"Incident {incident.id} ({incident.status}), led by {incident.lead}:"]
            found += [f"  {line}" for line in incident.lines]
        return found


def _describe_rule(rule: RuleExplanation) -> list[str]:
    since = "" if rule.since is None else f" since {_clock(rule.since)}"
    found = [f"  {rule.rule}", f"    {rule.status}{since}: {rule.evidence}"]
    if rule.needed:
        found.append(f"    {rule.needed}")
    found.append(f"    {rule.routing}")
    return found


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def explanation_fields(found: AlertExplanation) -> dict[str, Any]:
    """Return the fields of GET /api/jobs/{name}/alert-explanation."""
    return {
        "job": found.job,
        "at": format_iso_instant(found.at),
        "summary": found.summary,
        "origin": found.origin,
        "rules": [_rule_fields(rule) for rule in found.rules],
        "reasons": list(found.reasons),
        "counterfactuals": list(found.counterfactuals),
        "incidents": [
            {"id": each.id, "status": each.status, "lead": each.lead, "lines": list(each.lines)}
            for each in found.incidents
        ],
        "notes": list(found.notes),
    }


def _rule_fields(rule: RuleExplanation) -> dict[str, Any]:
    held = rule.held_back_by
    return {
        "name": rule.name,
        "rule": rule.rule,
        "status": rule.status,
        "since": None if rule.since is None else format_iso_instant(rule.since),
        "evidence": rule.evidence,
        "needed": rule.needed,
        "channels": list(rule.channels),
        "routing": rule.routing,
        "held_back_by": None
        if held is None
        else {
            "kind": str(held.kind),
            "name": held.name,
            "reason": held.reason,
            "until": None if held.until is None else format_iso_instant(held.until),
        },
    }
