"""One message for `validate` and the documents: what each template is rendered with before it is needed."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.incidents.values import TransitionKind
from jobs.notifications.message import Message

SAMPLE_MESSAGE = Message(
    incident="mih3k8v1-5f0c2a9e",
    number=1,
    kind=TransitionKind.OPENED,
    severity="down",
    title="DOWN checkout since 03:01 (3 of 5 runs failed: connection refused)",
    text="Expected status 200, got no response: connection refused.",
    at=datetime(2026, 11, 28, 3, 3, tzinfo=UTC),
    dedup_key="mih3k8v1-5f0c2a9e:1:sample",
    incident_key="mih3k8v1-5f0c2a9e",
    subject="checkout",
    facts=(("Failing since", "2026-11-28 03:01:00Z"), ("Last good run", "2026-11-28 03:00:00Z")),
    link="https://scheduler.example.com/incidents/mih3k8v1-5f0c2a9e",
    runbook="https://wiki.example.com/checkout",
    tags={"team": "payments"},
)
