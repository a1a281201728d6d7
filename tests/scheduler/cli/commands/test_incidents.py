"""`incidents`, `silences` and `windows`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import (
    AlertKey,
    Announcement,
    AzureHealth,
    Incident,
    IncidentStatus,
    Member,
    Notification,
    SharedCause,
    TransitionKind,
)
from jobs.notifications.port import OutboxChanges, UndeliveredNotification
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

CHECK = {"url": "http://127.0.0.1:9/"}
AT = datetime(2026, 3, 1, 3, tzinfo=UTC)
INCIDENT = "1772334000000-5f2c1d9b"


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    payments = {"check": CHECK, "tags": {"team": "payments"}}
    write_jobs(job_folder, checkout_api=payments, search={"check": CHECK, "tags": {"team": "web"}})


def in_store(folder: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def inside() -> None:
        store = await open_sqlite(folder.parent / "state.db", StoreAccess.SHARED)
        try:
            await work(store)
        finally:
            await store.aclose()

    asyncio.run(inside())


@pytest.fixture
def _incident(job_folder: Path) -> None:
    """An open incident of checkout-api, with one job behind it."""

    async def put(store: Store) -> None:
        lead = AlertKey("checkout-api", "failed")
        members = (
            Member(lead, 1, "down", 20, AT, AT, "3 of 3 runs failed"),
            Member(AlertKey("search", "failed"), 1, "down", 20, AT, AT, "2 of 3 runs failed", parent="checkout-api"),
        )
        incident = Incident(INCIDENT, 0, IncidentStatus.OPEN, AT, members, lead, announced=(Announcement("mail", 1),))
        reported = AzureHealth("/subscriptions/1", lead, "Unknown", "Azure Service Health: 1: Unknown", AT)
        shared = (SharedCause("host 127.0.0.1", 2, 4, 1, ("cart",)),)
        step = IncidentStep(None, replace(incident, shared=shared, azure=(reported,)))
        step.add_transition(TransitionKind.OPENED, AT, "checkout-api: 3 of 3 runs failed", key=lead)
        step.decide("announced", AT, "nothing holds it back", key=lead)
        rows = Repositories(store).engine_rows
        await rows.write((await rows.read()).head, AT, [step])

    in_store(job_folder, put)


@pytest.mark.usefixtures("_incident")
def test_incidents_are_listed_and_filtered() -> None:
    (row,) = (line.split("\t") for line in invoke("incidents", "list").lines[1:])
    assert row[:6] == [INCIDENT, "open", "down", "checkout-api", "failed", "2026-03-01T03:00:00Z"]
    assert json.loads(invoke("incidents", "list", "--json").stdout)["incidents"][0]["member_count"] == 2
    assert len(invoke("incidents", "list", "--status", "open", "--tag", "team=web", "--job", "search").lines) == 2
    resolved = invoke("incidents", "list", "--status", "resolved")
    assert (resolved.code, len(resolved.lines), resolved.stderr) == (0, 1, "no incident matches\n")
    terminal = invoke("incidents", "list", terminal=True).stdout
    assert "3 of 3 runs failed" in terminal
    assert "\t" not in terminal


@pytest.mark.usefixtures("_incident")
def test_an_incident_is_shown_with_its_alerts_history_and_decisions() -> None:
    assert invoke("incidents", "show", INCIDENT).lines == [
        f"id: {INCIDENT}",
        "status: open",
        "severity: down",
        "subject: checkout-api",
        "rule: failed",
        "what: 3 of 3 runs failed",
        "target: GET http://127.0.0.1:9/",
        "shared: 2 of 4 jobs on 127.0.0.1 fail, 1 not checked since, fine: cart",
        "azure: Azure Service Health: 1: Unknown",
        "failing since: 2026-03-01T03:00:00Z",
        "opened: 2026-03-01T03:00:00Z",
        "notified: mail",
        "alerts:",
        "  checkout-api failed since 2026-03-01T03:00:00Z: 3 of 3 runs failed",
        "  search failed since 2026-03-01T03:00:00Z (behind checkout-api): 2 of 3 runs failed",
        "    target: GET http://127.0.0.1:9/",
        "history:",
        "  2026-03-01T03:00:00Z opened: checkout-api: 3 of 3 runs failed",
    ]
    assert invoke("incidents", "decisions", INCIDENT).lines[1:] == [
        "2026-03-01T03:00:00Z\tannounced\tcheckout-api\tnothing holds it back"
    ]
    assert json.loads(invoke("incidents", "show", INCIDENT, "--json").stdout)["transitions"][0]["number"] == 1


@pytest.mark.usefixtures("_incident")
def test_an_incident_is_acknowledged_snoozed_noted_and_resolved() -> None:
    acknowledged = invoke("incidents", "acknowledge", INCIDENT, "--note", "restarting it")
    assert acknowledged.stdout.startswith(f"incident {INCIDENT} about checkout-api: acknowledged by command_line:")
    snoozed = json.loads(invoke("incidents", "snooze", INCIDENT, "--for", "2h", "--json").stdout)
    assert snoozed["handling"].startswith("snoozed by command_line:")
    withdrawn = [f"incident {INCIDENT} about checkout-api: open"]
    assert invoke("incidents", "unacknowledge", INCIDENT, "--note", "it helped").lines == withdrawn
    assert invoke("incidents", "unacknowledge", INCIDENT).lines == withdrawn
    assert invoke("incidents", "note", INCIDENT, "the provider confirms it").code == 0
    assert invoke("incidents", "resolve", INCIDENT).lines == [f"incident {INCIDENT} about checkout-api: resolved"]
    again = invoke("incidents", "resolve", INCIDENT)
    assert (again.code, "only an open incident can be changed" in again.stderr) == (1, True)

    actions = [line.split("\t")[4] for line in invoke("audit", "list").lines[1:]]
    handled = ["incident.unacknowledge", "incident.snooze", "incident.acknowledge"]
    assert actions == ["incident.resolve", "incident.note", *handled]


def test_a_window_of_a_pipeline_prints_its_id_and_its_end_and_is_ended() -> None:
    started = invoke(
        *("windows", "start", "--for", "30m", "--select", "tag=team=payments"),
        *("--reason", "release 42", "--change", "CHG0042"),
    )
    _, window_id, name, _, end, count, _ = started.stdout.split()

    assert (started.code, count) == (0, "1")
    assert name == f"CHG0042-{window_id.rpartition('-')[2]}"
    assert datetime.fromisoformat(end.rstrip(",")) - datetime.now(UTC) < timedelta(minutes=30)
    (row,) = (line.split("\t") for line in invoke("windows", "list").lines[1:])
    assert [row[0], *row[1:4], *row[6:9]] == [
        *(window_id, name, "active", "silence"),
        *("tag=team=payments", "release 42", "CHG0042"),
    ]
    assert invoke("windows", "end", name).lines == [f"window {window_id} {name} has ended"]
    assert invoke("windows", "end", window_id).code == 1


def test_a_planned_window_is_deleted_and_one_of_a_job_file_is_listed_with_its_place(job_folder: Path) -> None:
    window = "{name: patching, weekly: {days: SUN, from: '02:00', to: '05:00'}, select: {all: true}}"
    (job_folder / "alerting.yaml").write_text(f"alerting:\n  windows:\n    - {window}\n")
    planned = invoke(
        *("windows", "start", "--from", "2199-01-01T00:00:00Z", "--for", "1h", "--select", "all", "--name", "move"),
        "--pause",
    )

    assert "from 2199-01-01T00:00:00Z until 2199-01-01T01:00:00Z, 2 jobs" in planned.stdout
    rows = [line.split("\t") for line in invoke("windows", "list").lines[1:]]
    assert [(row[1], row[3], row[9].rpartition("/")[2]) for row in rows] == [
        ("patching", "silence", "alerting.yaml:3"),
        ("move", "pause", ""),
    ]
    assert invoke("windows", "delete", "move").lines == ["window move is deleted"]
    refused = invoke("windows", "end", "patching")
    assert (refused.code, "alerting.yaml:3: change it there" in refused.stderr) == (1, True)


def test_a_silence_is_created_ended_and_listed() -> None:
    created = json.loads(
        invoke("silences", "create", "--select", "job=check*", "--for", "2h", "--reason", "work", "--json").stdout
    )
    assert (created["state"], created["jobs"], created["select"]) == ("active", ["checkout-api"], {"jobs": ["check*"]})
    (row,) = (line.split("\t") for line in invoke("silences", "list").lines[1:])
    assert [row[0], row[1], row[4], row[6]] == [created["id"], "active", "job=check*", "work"]
    assert invoke("silences", "delete", created["id"]).code == 1
    assert invoke("silences", "end", created["id"]).lines == [f"silence {created['id']} has ended"]
    nothing = invoke("silences", "create", "--select", "job=none", "--for", "1h")
    assert (nothing.code, nothing.stderr) == (0, "the silence selects no job: check --select\n")


def test_what_a_channel_could_not_deliver_is_listed_sent_again_and_discarded(job_folder: Path) -> None:
    letters = tuple(
        UndeliveredNotification(
            Notification(INCIDENT, number, TransitionKind.OPENED, "mail", AT), ("mail",), AT, "got 503"
        )
        for number in (1, 2)
    )

    async def put(store: Store) -> None:
        outbox = Repositories(store).outbox_rows
        state = replace(await outbox.read_channel("mail"), failing_since=AT, error="got 503")
        await outbox.commit(OutboxChanges(state, dead_letters=letters))

    in_store(job_folder, put)

    (row,) = (line.split("\t") for line in invoke("channels", "list").lines[1:])
    assert [row[0], row[2], *row[4:7]] == ["mail", "failing", "2026-03-01T03:00:00Z", "0", "2"]
    assert "failing" in invoke("channels", "list", terminal=True).stdout
    assert [line.split("\t")[0] for line in invoke("channels", "undelivered", "mail").lines[1:]] == [
        f"{INCIDENT}.1",
        f"{INCIDENT}.2",
    ]
    assert invoke("channels", "discard", "mail", f"{INCIDENT}.1").lines == [f"{INCIDENT}.1 is discarded"]
    assert invoke("channels", "retry", "mail").lines == [f"{INCIDENT}.2 will be sent again"]
    nothing = invoke("channels", "retry", "mail")
    assert (nothing.code, "has delivered everything" in nothing.stderr) == (1, True)
    assert json.loads(invoke("channels", "undelivered", "mail", "--json").stdout)["undelivered"] == []
    assert json.loads(invoke("channels", "list", "--json").stdout)["channels"][0]["waiting"] == 1


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["incidents", "snooze", INCIDENT], 2, "give the end: --for, such as 2h, or --until"),
        (["incidents", "snooze", INCIDENT, "--for", "soon"], 2, "--for: 'soon' is not a duration"),
        (["incidents", "snooze", INCIDENT, "--until", "2020-01-01"], 2, "--until: 2020-01-01 00:00:00Z is in the past"),
        (["incidents", "note", INCIDENT, " "], 2, "--note: is empty"),
        (["incidents", "acknowledge", INCIDENT], 1, "the id is wrong"),
        (["incidents", "list", "--status", "closed"], 2, "--status: expected open or resolved, got 'closed'"),
        (["incidents", "list", "--job", "serch"], 2, "did you mean search?"),
        (["silences", "create", "--for", "1h"], 2, "give --select: expected job=NAME"),
        (["silences", "create", "--select", "team=web", "--for", "1h"], 2, "--select: expected job=NAME"),
        (["silences", "create", "--select", "all", "--until", "2020-01-01"], 2, "--until: 2020-01-01"),
        (["windows", "start", "--select", "all"], 2, "give the end"),
        (["windows", "start", "--select", "job=a b", "--for", "1h"], 2, "select.jobs"),
        (["windows", "end", "none"], 1, "`windows list` lists all"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_reported_with_what_to_change(words: list[str], code: int, complaint: str) -> None:
    output = invoke(*words)

    assert (output.code, complaint in output.stderr) == (code, True), output.stderr
