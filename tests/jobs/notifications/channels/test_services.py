"""The channels of incident services against a server on loopback: the documented requests, and every failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.alertmanager import AlertmanagerSender
from jobs.notifications.channels.datadog_event import DatadogEventSender
from jobs.notifications.port import Message, SendFailed, SentReference
from jobs.notifications.templates.incident_message import SAMPLE_MESSAGE
from tests.parts.http_server import Answer, Request
from tests.parts.notifications import NotificationService, make_channel, message, resources

KEY = "k3y-of-the-service"
TOKEN = "t0ken-of-the-identity"
SECRETS = {"service-key": KEY}
GROUP_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/ops"
    "/providers/Microsoft.Insights/actionGroups/on-call"
)
FIELDS: dict[str, dict[str, Any]] = {
    "pagerduty": {"routing_key": {"secret": "service-key"}},
    "opsgenie": {"api_key": {"secret": "service-key"}},
    "datadog_event": {"api_key": {"secret": "service-key"}},
    "alertmanager": {"token": {"secret": "service-key"}},
    "azure_action_group": {"id": GROUP_ID},
}
FIRST = SentReference("first")
NOW = SAMPLE_MESSAGE.at.timestamp() + 600
KINDS = TransitionKind


async def _send(kind: str, *messages: Message, answers: tuple[Answer, ...] = (), **more: Any) -> list[Request]:
    """Send the messages of an incident; return the requests."""
    async with NotificationService(*answers) as service, resources(SECRETS) as shared:
        sender = make_channel(kind=kind, url=service.url, **FIELDS[kind], **more).create_sender(shared)
        reference = None
        for each in messages:
            reference = await sender.send(each, reference)
    return service.requests


# --- PagerDuty ---


async def test_pagerduty_gets_the_documented_trigger() -> None:
    (request,) = await _send("pagerduty", message())
    assert request.json() == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": SAMPLE_MESSAGE.incident_key,
        "payload": {
            "summary": SAMPLE_MESSAGE.title,
            "source": "checkout",
            "severity": "critical",
            "timestamp": request.json()["payload"]["timestamp"],
            "component": "checkout",
            "custom_details": request.json()["payload"]["custom_details"],
        },
        "links": [
            {"href": SAMPLE_MESSAGE.link, "text": "Incident"},
            {"href": SAMPLE_MESSAGE.runbook, "text": "Runbook"},
        ],
        "client": "scheduler",
        "client_url": SAMPLE_MESSAGE.link,
    }
    assert request.json()["payload"]["timestamp"].startswith("2026-11-28T03:03:00")
    assert request.json()["payload"]["custom_details"]["tag team"] == "payments"


@pytest.mark.parametrize(
    ("kind", "actions"),
    [
        (KINDS.REMINDED, ["trigger", "trigger"]),
        (KINDS.ACKNOWLEDGED, ["trigger", "acknowledge"]),
        (KINDS.SNOOZED, ["trigger", "acknowledge"]),
        (KINDS.UNACKNOWLEDGED, ["trigger", "trigger"]),
        (KINDS.RESOLVED, ["trigger", "resolve"]),
    ],
)
async def test_pagerduty_gets_later_transitions_by_the_same_key(kind: KINDS, actions: list[str]) -> None:
    requests = await _send("pagerduty", message(), message(kind, 2))
    assert [each.json()["event_action"] for each in requests] == actions
    assert {each.json()["dedup_key"] for each in requests} == {SAMPLE_MESSAGE.incident_key}


async def test_pagerduty_records_an_incident_that_was_over_before_it_could_be_sent() -> None:
    requests = await _send("pagerduty", message(KINDS.RESOLVED, 2))
    assert [each.json()["event_action"] for each in requests] == ["trigger", "resolve"]


async def test_pagerduty_severities_can_be_mapped() -> None:
    (request,) = await _send("pagerduty", message(severity="slow"), severities={"slow": "info"})
    assert request.json()["payload"]["severity"] == "info"


# --- Opsgenie ---


async def test_opsgenie_gets_the_documented_alert() -> None:
    (request,) = await _send("opsgenie", message(title="x" * 200))
    body = request.json()
    assert (request.method, request.target) == ("POST", "/v2/alerts")
    assert request.headers["authorization"] == f"GenieKey {KEY}"
    assert body["message"] == "x" * 129 + "…"
    assert (body["alias"], body["priority"], body["tags"]) == (
        SAMPLE_MESSAGE.incident_key,
        "P1",
        ["team:payments", "stage:prod"],
    )
    assert all(isinstance(value, str) for value in body["details"].values())


@pytest.mark.parametrize(
    ("kind", "later"),
    [
        (KINDS.RESOLVED, ["POST close"]),
        (KINDS.ACKNOWLEDGED, ["POST acknowledge"]),
        (KINDS.UNACKNOWLEDGED, ["POST unacknowledge"]),
        (KINDS.NOTE_ADDED, ["POST notes"]),
        (KINDS.RAISED, ["PUT priority", "POST notes"]),
    ],
)
async def test_opsgenie_gets_later_transitions_by_the_alias(kind: KINDS, later: list[str]) -> None:
    _, *requests = await _send("opsgenie", message(), message(kind, 2))
    assert [f"{each.method} {each.path.rsplit('/', 1)[1]}" for each in requests] == later
    assert {each.query["identifierType"] for each in requests} == {"alias"}
    assert {each.path.split("/")[3] for each in requests} == {SAMPLE_MESSAGE.incident_key}


async def test_opsgenie_gets_a_new_alert_for_a_reopened_incident() -> None:
    requests = await _send("opsgenie", message(), message(KINDS.RESOLVED, 2), message(KINDS.REOPENED, 3))
    assert [each.path.count("/") for each in requests] == [2, 4, 2]


# --- Datadog ---


async def test_datadog_gets_the_documented_event() -> None:
    async with NotificationService(Answer(202)) as service, resources(SECRETS) as shared:
        channel = make_channel(kind="datadog_event", url=service.url, tags={"env": "prod"}, **FIELDS["datadog_event"])
        sender = DatadogEventSender(channel, shared, clock=lambda: NOW)
        await sender.send(message(), None)
        await sender.send(message(KINDS.RESOLVED, 2), None)
    opened, resolved = (each.json() for each in service.requests)
    assert service.requests[0].target == "/api/v1/events"
    assert service.requests[0].headers["dd-api-key"] == KEY
    assert (opened["alert_type"], resolved["alert_type"]) == ("error", "success")
    assert opened["aggregation_key"] == resolved["aggregation_key"] == SAMPLE_MESSAGE.incident_key
    assert opened["date_happened"] == int(SAMPLE_MESSAGE.at.timestamp())
    assert {"team:payments", "env:prod", "job:checkout", "severity:down"} <= set(opened["tags"])


async def test_datadog_gets_a_late_event_with_a_time_that_it_accepts() -> None:
    late = NOW + 86_400
    async with NotificationService(Answer(202)) as service, resources(SECRETS) as shared:
        channel = make_channel(kind="datadog_event", url=service.url, **FIELDS["datadog_event"])
        await DatadogEventSender(channel, shared, clock=lambda: late).send(message(text="y" * 5000), None)
    assert late - service.requests[0].json()["date_happened"] < 18 * 3600
    assert len(service.requests[0].json()["text"]) == 4000


# --- Alertmanager ---


async def _alerts(*messages: Message, reference: SentReference | None = None) -> list[list[dict[str, Any]]]:
    async with NotificationService() as service, resources(SECRETS) as shared:
        channel = make_channel(kind="alertmanager", url=service.url, **FIELDS["alertmanager"])
        sender = AlertmanagerSender(channel, shared, clock=lambda: NOW)
        for each in messages:
            reference = await sender.send(each, reference)
    assert {each.target for each in service.requests} <= {"/api/v2/alerts"}
    assert {each.headers["authorization"] for each in service.requests} <= {f"Bearer {KEY}"}
    return [each.json() for each in service.requests]


async def test_alertmanager_gets_an_alert_that_the_resolution_ends() -> None:
    ((opened,), (resolved,)) = await _alerts(message(), message(KINDS.RESOLVED, 2))
    assert opened["labels"] == {
        "alertname": "checkout",
        "job": "checkout",
        "severity": "down",
        "incident": SAMPLE_MESSAGE.incident,
        "team": "payments",
        "stage": "prod",
    }
    assert opened["generatorURL"] == SAMPLE_MESSAGE.link
    assert opened["annotations"]["summary"] == SAMPLE_MESSAGE.title
    assert (opened["startsAt"], opened["endsAt"]) == ("2026-11-28T03:03:00.000Z", "2026-12-05T03:13:00.000Z")
    assert (resolved["labels"], resolved["startsAt"]) == (opened["labels"], opened["startsAt"])
    assert resolved["endsAt"] == "2026-11-28T03:13:00.000Z"


async def test_alertmanager_gets_a_changed_severity_as_another_alert() -> None:
    ((_,), (ended, started), (resolved,)) = await _alerts(
        message(severity="degraded"), message(KINDS.RAISED, 2), message(KINDS.RESOLVED, 3)
    )
    assert (ended["labels"]["severity"], started["labels"]["severity"]) == ("degraded", "down")
    assert ended["endsAt"] == "2026-11-28T03:13:00.000Z"
    assert resolved["labels"] == started["labels"]


async def test_alertmanager_has_an_incident_that_was_over_before_it_could_be_sent_for_a_while() -> None:
    ((alert,),) = await _alerts(message(KINDS.RESOLVED, 2))
    assert alert["endsAt"] == "2026-11-28T03:18:00.000Z"


async def test_alertmanager_gets_label_names_that_it_accepts() -> None:
    ((alert,),) = await _alerts(message(tags={"cost-center": "7", "2nd": "x", "empty": ""}))
    assert {"cost_center": "7", "_2nd": "x"}.items() <= alert["labels"].items()
    assert "empty" not in alert["labels"]


# --- Azure action group ---

GROUP: dict[str, Any] = {"enabled": True, "emailReceivers": [{"name": "ops", "emailAddress": "ops@example.com"}]}


async def _notify_group(properties: dict[str, Any], sent: Message) -> list[Request]:
    answers = (Answer.of_json({"properties": properties}), Answer(202))
    return await _send("azure_action_group", sent, answers=answers)


async def test_people_of_an_action_group_are_notified_by_its_documented_operation() -> None:
    read, notify = await _notify_group(GROUP, message())
    assert (read.method, read.target) == ("GET", f"{GROUP_ID}?api-version=2023-01-01")
    assert notify.target == f"{GROUP_ID}/createNotifications?api-version=2023-01-01"
    assert notify.json() == {"alertType": "logalertv2", "emailReceivers": GROUP["emailReceivers"]}
    assert notify.headers["authorization"] == f"Bearer {TOKEN}"


async def test_people_of_an_action_group_get_no_sample_for_a_resolution() -> None:
    assert len(await _notify_group(GROUP, message(KINDS.RESOLVED, 2))) == 1


async def test_webhooks_of_an_action_group_get_the_message_in_the_common_alert_schema() -> None:
    async with NotificationService() as hook, resources() as shared:
        group = {
            "webhookReceivers": [{"serviceUri": f"{hook.url}/hooks/secret-of-the-hook", "useCommonAlertSchema": True}]
        }
        async with NotificationService(Answer.of_json({"properties": group})) as azure:
            channel = make_channel(kind="azure_action_group", url=azure.url, id=GROUP_ID)
            await channel.create_sender(shared).send(message(KINDS.RESOLVED, 2), None)
    (request,) = hook.requests
    assert request.json()["schemaId"] == "azureMonitorCommonAlertSchema"
    assert request.json()["data"]["essentials"]["monitorCondition"] == "Resolved"
    assert request.json()["data"]["essentials"]["description"] == message(KINDS.RESOLVED, 2).title
    assert shared.scopes == [f"{azure.url}/.default"]
    assert len(azure.requests) == 1


@pytest.mark.parametrize(
    ("group", "problem"), [({"enabled": False}, "is disabled"), ({"enabled": True}, "no receiver that can be notified")]
)
async def test_an_action_group_that_notifies_no_receiver_is_a_permanent_failure(
    group: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SendFailed, match=problem) as failed:
        await _notify_group(group, message())
    assert failed.value.is_permanent


# --- All ---


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize(
    ("answer", "is_permanent", "retry_after"),
    [
        (Answer(500), False, None),
        (Answer(503, {"retry-after": "30"}), False, 30),
        (Answer(429, {"retry-after": "60"}), False, 60),
        (Answer(400, body=f"invalid key {KEY} {TOKEN}".encode()), True, None),
        (Answer(403), True, None),
        (Answer(reset=True), False, None),
    ],
    ids=["500", "503", "429", "400", "403", "reset"],
)
async def test_a_failure_is_temporary_or_permanent_and_shows_no_key(
    kind: str, answer: Answer, is_permanent: bool, retry_after: float | None
) -> None:
    with pytest.raises(SendFailed) as failed:
        await _send(kind, message(), answers=(answer,))
    assert failed.value.is_permanent is is_permanent
    assert failed.value.retry_after == retry_after
    assert (TOKEN if kind == "azure_action_group" else KEY) not in str(failed.value)


@pytest.mark.parametrize("kind", FIELDS)
async def test_a_service_that_never_answers_is_cut_off(kind: str) -> None:
    async with NotificationService(Answer(delay=30)) as service, resources(SECRETS) as shared:
        channel = make_channel(kind=kind, url=service.url, **FIELDS[kind]).model_copy(update={"timeout": 0.05})
        with pytest.raises(SendFailed, match="did not respond") as failed:
            await channel.create_sender(shared).send(message(), None)
    assert not failed.value.is_permanent


@pytest.mark.parametrize("kind", FIELDS)
async def test_a_certificate_that_is_not_trusted_is_a_temporary_failure(kind: str) -> None:
    async with NotificationService(tls="self_signed") as service, resources(SECRETS) as shared:
        channel = make_channel(kind=kind, url=service.url, **FIELDS[kind])
        with pytest.raises(SendFailed, match="certificate") as failed:
            await channel.create_sender(shared).send(message(), None)
    assert not failed.value.is_permanent
    assert not service.requests


@pytest.mark.parametrize(
    ("kind", "fields", "problem"),
    [
        ("pagerduty", {"routing_key": "plain-key"}, "must not contain a secret value"),
        ("opsgenie", {"api_key": "plain-key"}, "must not contain a secret value"),
        ("pagerduty", {"routing_key": {"secret": "a"}, "severities": {"down": "fatal"}}, "severities"),
        ("azure_action_group", {"id": "/subscriptions/1"}, "id"),
        ("datadog_event", {"api_key": {"secret": "a"}, "site": "https://datadoghq.com"}, "site"),
        ("alertmanager", {"url": "http://127.0.0.1", "labels": {"a-b": "1"}}, "labels"),
    ],
)
def test_an_invalid_field_is_named(kind: str, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        make_channel(kind=kind, **fields)
    assert problem in str(error.value)
    assert "plain-key" not in json.dumps(str(error.value))
