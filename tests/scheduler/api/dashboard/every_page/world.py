"""A scheduler with something of everything that a page can show. Texts of people, targets and senders are replaceable.

    async with ApiClient(jobs=jobs_of(PLAIN)) as client:
        world = await fill(client, PLAIN)
        world["incident_id"]                # examples of the parameters of pages

`client.shop.check.steps` is what targets answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from jobs.alerting.alert import Verdict, advance
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    Incident,
    IncidentStatus,
    Member,
    Notification,
    TransitionKind,
)
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation, Phases
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.health import ExporterReport, HealthStatus, OwnReports, SettingReport
from tests.jobs.running.run_parts import answer, broken
from tests.parts.notifications import make_channel
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

INCIDENT_ID = "1772366400000-00000001"
TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
CHANNEL = "team-mail"
_HEALTH = {"expect": [{"health": "aspnet"}]}
_ONCE = {"retry": {"attempts": 1}}


@dataclass(frozen=True)
class Texts:
    """`name`: of the job that is down. `stored_name`: of the one in the store. Others are named after their author."""

    name: str = "checkout"
    stored_name: str = "returns"
    defined: str = "takes the payments of the shop"
    person: str = "rollout of release 42"
    target: str = "connection pool exhausted"
    sender: str = "42 files, 3 failed"
    url: str = "https://checkout.example/health?full=true"
    cause: str = "host checkout.example"
    down_minutes: float = 2.0


PLAIN = Texts()


def jobs_of(texts: Texts) -> list[CatalogJob]:
    """One job of each state: down, up, degraded by its health entries, heartbeat, open circuit, paused, never run."""
    tags = {"team": "payments", "note": texts.defined}
    secret = {"kind": "bearer", "token": {"secret": "checkout-token"}}
    alerts = [{"name": "failed", "open_after": 1}]
    heartbeat = {"kind": "heartbeat", "token": {"secret": "backup-token"}, "period": "24h", "grace": "1h"}
    http = {"kind": "http", "url": texts.url, "auth": secret}
    slo = {"target": 99.0, "description": texts.defined}
    described = {"description": texts.defined, "tags": tags}
    return [
        entry(texts.name, check=http, dead_letter=True, alerts=alerts, slo=slo, **described, **_ONCE),
        entry("search", "every 1m", tags={"team": "search"}),
        entry("basket", "0 */5 * * * *", tags={"team": "payments"}, **_HEALTH, **_ONCE),
        entry("backup", None, check=heartbeat, tags={"team": "operations"}),
        entry("gateway", "every 30s", circuit={"consecutive_failures": 1, "open_for": "10m"}, **_ONCE),
        entry("reports", {"cron": "0 30 3 * * *", "timezone": "Europe/Berlin"}, depends_on=[texts.name]),
        entry("cleanup", None, description="Never run"),
        entry("legacy", "every 1h", enabled=False),
    ]


def alerting_of(texts: Texts) -> AlertingDefinitions:
    """A channel, a weekly window, and an objective of several jobs."""
    channel = make_channel(kind="email", host="mail.example", **{"from": "a@b.example", "to": ["c@d.example"]})
    weekly = {"from": "SUN 10:00", "to": "SUN 14:00"}
    keys = {"name": "patching", "weekly": weekly, "select": {"tags": {"team": "operations"}}, "reason": texts.defined}
    window = MaintenanceWindow.model_validate(keys)
    described = {"description": texts.defined, "owner": texts.person[:200]}
    shop = SelectedObjective.model_validate({"select": {"tags": {"team": "payments"}}, "target": 90, **described})
    return define_alerting(
        {
            "channels": (DefinedEntry(CHANNEL, channel, "jobs.yaml:3"),),
            "windows": (DefinedEntry("", window, "jobs.yaml:7"),),
            "objectives": (DefinedEntry("shop", shop, "jobs.yaml:12"),),
        }
    )


async def fill(client: ApiClient, texts: Texts = PLAIN, run_id: str = "") -> dict[str, str]:
    """Let everything happen once. Return an example of each parameter that a page can have.

    `run_id`: a run of the job that is down, if the jobs have run before.
    """
    shop = client.shop
    shop.audit.record = StoredAuditTrail(shop.audit_log, shop.clock, Redactor()).record  # type: ignore[method-assign]
    shop.tokens.values = {"backup-token": TOKEN}
    client.health.own_reports = OwnReports(lambda: [_exporter_of(texts)], lambda: [_setting_of(texts)])
    run_id = run_id or await _run_jobs(client, texts)
    await _store_incident(client, texts)
    await _store_undelivered(client, texts)
    changed = await _change_as_people_do(client, texts)
    jobs = [shop.catalog.get_job(name) for name in shop.catalog.names()]
    shop.catalog.replace(JobSnapshot(jobs, shop.clock.now(), alerting=alerting_of(texts)))
    letters = (await client.get("/api/dead-letters")).json()["dead_letters"]
    return {
        "name": texts.name,
        "run_id": run_id,
        "incident_id": INCIDENT_ID,
        "letter_id": letters[0]["id"],
        "channel": CHANNEL,
        "key": "gateway",
        **changed,
    }


def _exporter_of(texts: Texts) -> ExporterReport:
    return ExporterReport("datadog", "degraded", texts.target, 120, 3, 2, 4096, "2026-03-01 11:59:00Z", texts.target)


def _setting_of(texts: Texts) -> SettingReport:
    return SettingReport("service_name", texts.person, "SCHEDULER_SERVICE_NAME", "variable", description="The name")


async def _run_jobs(client: ApiClient, texts: Texts) -> str:
    """Return the id of the latest run of the job that is down."""
    client.add_health_part("watchdog", HealthStatus.DEGRADED, texts.target)
    failed = broken(ErrorClass.CONNECTION_REFUSED, texts.target)
    entries = {"redis": {"status": "Healthy"}, "db": {"status": "Degraded", "description": texts.target}}
    report = json.dumps({"status": "Degraded", "entries": entries}).encode()
    good = answer(body=texts.target.encode("utf-8", "replace"), headers={"server": "nginx"})
    unavailable = answer(503, body=f"<html><h1>503</h1>{texts.target}".encode("utf-8", "replace"))
    timing = Observation(Phases(0.5, 1.25, 6.5, 30.0, 38.25), status=200)
    script = [(texts.name, [good, good, failed, failed]), ("search", [timing, answer(), timing])]
    script += [("basket", [answer(body=report)]), ("gateway", [unavailable, failed]), ("reports", [answer(500)])]
    ids: dict[str, str] = {}
    for job, steps in script:
        for number, step in enumerate(steps):
            client.shop.check.steps = [step]
            ids[job] = await client.perform(job, (number - len(steps)) * 60.0)
    client.shop.check.steps = [good]
    await client.request("POST", f"/api/ping/{TOKEN}/fail", content=texts.sender.encode("utf-8", "replace"))
    await client.shop.worker.wait_until_idle()
    return ids[texts.name]


async def _store_incident(client: ApiClient, texts: Texts) -> None:
    """As the engine does with the first failure."""
    key, now = AlertKey(texts.name, "failed"), client.shop.clock.now()
    since = now - timedelta(minutes=texts.down_minutes)
    member = Member(key, 1, "down", 20, now, since, texts.target)
    announced = (Announcement(CHANNEL, 1),)
    degraded = replace(member, key=AlertKey("basket", "degraded"), severity="degraded")
    members = (member, replace(member, key=AlertKey("gateway", "failed")), degraded)
    empty = Incident(INCIDENT_ID, 0, IncidentStatus.OPEN, now, members, key, announced=announced, cause=texts.cause)
    step = IncidentStep(None, empty)
    step.add_transition(TransitionKind.OPENED, now, f"{texts.name}: {texts.target}", key=key)
    step.decide("announced", now, f"nothing holds it back: {texts.target}", key=key)
    rows = client.shop.repositories.engine_rows
    await rows.write((await rows.read()).head, now, [step])
    alerts = client.shop.repositories.alert_rows
    stored = await alerts.read(key)
    await alerts.write(advance(stored.alert, Verdict(True, texts.target, since), now), stored.etag)


async def _store_undelivered(client: ApiClient, texts: Texts) -> None:
    now, outbox = client.shop.clock.now(), client.shop.repositories.outbox_rows
    failing = {"failing_since": now, "error": texts.target, "given_up": 1}
    state = replace(await outbox.read_channel(CHANNEL), **failing)  # type: ignore[arg-type]
    sent = Notification(INCIDENT_ID, 1, TransitionKind.OPENED, CHANNEL, now)
    letter = UndeliveredNotification(sent, (CHANNEL,), now, texts.target)
    await outbox.commit(OutboxChanges(state, dead_letters=(letter,)))


async def _change_as_people_do(client: ApiClient, texts: Texts) -> dict[str, str]:
    """Return the ids of what was made."""
    incident, stored = f"/api/incidents/{INCIDENT_ID}", f"/api/jobs/{texts.stored_name}"
    definition: dict[str, Any] = {"schedule": "every 1h", "check": {"kind": "http", "url": texts.url}}
    tagged = definition | {"tags": {"owner": texts.defined}, "description": texts.defined}
    silence = {"select": {"jobs": "search"}, "for": "2h", "reason": texts.person}
    window = {"select": {"tags": {"team": "search"}}, "for": "30m", "reason": texts.person, "change_id": "CHG0042"}
    made = {
        "pause": await client.post_json("/api/jobs/search/pause", {"reason": texts.person}),
        "circuit": await client.post_json("/api/circuits/gateway/open", {"reason": texts.person}),
        "marker": await client.post_json("/api/markers", {"text": texts.person[:200]}),
        "note": await client.post_json(f"{incident}/notes", {"note": texts.person}),
        "silence": await client.post_json("/api/silences", silence),
        "window": await client.post_json("/api/windows", window),
        "job": await client.post_json("/api/jobs", {"name": texts.stored_name, **definition}),
        "version": await client.request("PUT", stored, json=tagged, headers={"if-match": "*"}),
        "key": await client.post_json("/api/keys", {"name": "deploy", "role": "operator"}),
    }
    failed = {name: sent.text for name, sent in made.items() if sent.status_code >= 400}
    assert failed == {}
    ids = {name: made[name].json()["id"] for name in ("silence", "window")}
    return {"silence_id": ids["silence"], "window_id": ids["window"], "number": "1"}
