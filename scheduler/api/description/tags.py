"""The tags of operations, in the order of the documents. Called by scheduler.api.description.document."""

from __future__ import annotations

from typing import Any, Final

TAGS: Final = {
    "jobs": "What is checked, when, and what to expect. Run a job now, pause it, run missed instants.",
    "definitions": "Definitions that are not saved: validation and due instants. JSON schemas for editors.",
    "sets": "Desired sets of stored jobs: plan the changes, then apply them together.",
    "runs": "Executions of jobs with their attempts. Cancel one that has not finished.",
    "stats": "Counts, success rates and response times of runs, also of deleted ones. Export runs and statistics.",
    "objectives": "Error budgets of objectives, burn rates, and monthly statements.",
    "changes": "Instants at which jobs became up, degraded, down, silent, waiting or paused, with the cause.",
    "markers": "Deployments that the charts of jobs mark, of pipelines and of the scheduler itself.",
    "incidents": "What is wrong and who handles it: incidents and their alerts. Acknowledge, snooze or resolve one.",
    "silences": "Notifications that are held back by users, for some alerts and a time.",
    "windows": "Maintenance windows of job files, and those that users and pipelines start.",
    "channels": "Where notifications are sent, and what could not be delivered.",
    "circuits": "Circuit breakers: rejections of runs while a target is down. Open, close or reset one.",
    "dead letters": "Runs and messages that failed permanently. Replay or discard them.",
    "heartbeats": "Checks that expect pings from a program: their state, and the routes that receive pings.",
    "secrets": "The secrets that jobs use, without values. Read one again after a change.",
    "audit": "The audit trail: who changed what, when and from where, as a chain of hashes.",
    "keys": "API keys: credentials of programs, each with a role. Create, rotate or revoke one.",
    "session": "The session of a browser, and who the caller is.",
    "metrics": "The page that Prometheus scrapes.",
    "health": "The health of the scheduler itself.",
}


def describe_tags(document: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags that operations use. Raises ValueError for one without a description."""
    used = {tag for methods in document["paths"].values() for each in methods.values() for tag in each.get("tags", ())}
    if unknown := used - set(TAGS):
        raise ValueError(f"tags without a description in {__name__}: {', '.join(sorted(unknown))}")
    return [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
