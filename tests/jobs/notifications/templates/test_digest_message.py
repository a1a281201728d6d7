"""The text of a digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from jobs.incidents.values import AlertKey, Incident, TransitionKind
from jobs.notifications.templates.incident_message import sample_transition
from jobs.notifications.templates.titles import DigestEntry, make_digest

BERLIN = ZoneInfo("Europe/Berlin")


def incident(subject: str, kind: TransitionKind, severity: str = "down", rank: int = 20) -> Incident:
    found, _ = sample_transition(kind)
    key = AlertKey(subject, "failed")
    return replace(found, lead=key, members=(replace(found.members[0], key=key, severity=severity, rank=rank),))


def test_a_digest_lists_what_is_open_by_severity_and_then_what_is_resolved() -> None:
    entries = [
        DigestEntry(incident("checkout", TransitionKind.RESOLVED), "https://scheduler.example.com/1"),
        DigestEntry(incident("search", TransitionKind.OPENED, "degraded", 10)),
        DigestEntry(incident("payments", TransitionKind.ACKNOWLEDGED), target="GET https://payments.internal/\u202e"),
    ]
    at = entries[0].incident.failing_since + timedelta(hours=4)
    message = make_digest(entries, "team", at, BERLIN)
    assert message.title == "DIGEST 3 incidents: 1 down, 1 degraded, 1 resolved"
    assert message.text.split("\n") == [
        "DOWN payments since 04:01, for 4 h (3 of 5 runs failed: status 503), acknowledged by anna",
        "  GET https://payments.internal/\\u202e",
        "DEGRADED search since 04:01, for 4 h (3 of 5 runs failed: status 503)",
        "RESOLVED checkout, was down 04:01 to 04:10 (3 of 5 runs failed: status 503)",
        "  https://scheduler.example.com/1",
    ]
    assert (message.kind, message.severity) == (TransitionKind.OPENED, "down")


def test_a_digest_of_resolved_incidents_is_a_resolution() -> None:
    entry = DigestEntry(incident("checkout", TransitionKind.RESOLVED))
    message = make_digest([entry], "team", entry.incident.failing_since, BERLIN, "status 503")
    assert message.is_resolution
    assert message.text.startswith("This digest could not be delivered before: status 503.")
