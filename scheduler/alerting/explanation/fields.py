"""An explanation as fields of JSON. Used by the API and the command line."""

from __future__ import annotations

from typing import Any

from jobs.formats.instants import format_iso_instant
from scheduler.alerting.explanation.values import AlertExplanation, RuleExplanation


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
