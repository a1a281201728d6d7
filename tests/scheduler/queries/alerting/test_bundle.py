"""The bundle of an incident names the planted cause, who knows, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.values import AlertKey, AzureHealth, SharedCause
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Outcome, Phases
from jobs.runs.details import CertificateDetail, Details, DnsDetail, TlsDetail
from jobs.runs.run import Failure
from scheduler.errors import NotFound
from scheduler.features.incidents.bundle_markdown import render_markdown
from scheduler.stores.markers import DeploymentMarker
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.routes.test_trends import count_hours
from tests.scheduler.fakes import entry
from tests.scheduler.queries.alerting.bundle_desk import ID, RULES, BundleDesk, tell

GOOD, BAD = Outcome.SUCCEEDED, Outcome.FAILED
MINUTE = timedelta(minutes=1)


def certificate(subject: str, until: datetime) -> Details:
    return Details(tls=TlsDetail("TLSv1.3", CertificateDetail(subject, "CN=R3", ("shop.example",), 1, until)))


async def expire(desk: BundleDesk) -> None:
    await desk.run_with(-120, GOOD, certificate("CN=shop.example", desk.since - MINUTE))
    await desk.run(0, BAD, ErrorClass.TLS_CERTIFICATE, "the certificate has expired")
    await desk.open_incident()


async def replace_certificate(desk: BundleDesk) -> None:
    await desk.run_with(-120, GOOD, certificate("CN=shop.example", desk.since + 9 * MINUTE))
    failed = ErrorClass.EXPECTATION_FAILED, "the certificate ends soon"
    await desk.run_with(0, BAD, certificate("CN=other.example", desk.since + MINUTE), *failed)
    await desk.open_incident()


async def lose_name_server(desk: BundleDesk) -> None:
    await desk.run(-120, GOOD)
    await desk.run(0, BAD, ErrorClass.DNS_FAILURE, "10.0.0.4 did not answer for shop.example")
    await desk.open_incident("search", cause="nameserver 10.0.0.4")


async def move_addresses(desk: BundleDesk) -> None:
    await desk.run_with(-120, GOOD, Details(dns=DnsDetail("NOERROR", ("192.0.2.1",), 1, 60, "10.0.0.4")))
    await desk.run_with(0, BAD, Details(dns=DnsDetail("NOERROR", ("192.0.2.9",), 1, 60, "10.0.0.4")), None, "moved")
    await desk.open_incident()


async def lose_host(desk: BundleDesk) -> None:
    await desk.run(-120, GOOD)
    await desk.run(0, BAD, ErrorClass.CONNECTION_REFUSED, "api.example.com refused the connection")
    await desk.open_incident("search", cause="host api.example.com")


async def deploy(desk: BundleDesk) -> None:
    await desk.run(-0.1, GOOD)
    await desk.change("marker.create", "a deployment was marked: shop 4ebecbce")
    await desk.run(60, BAD, ErrorClass.UNEXPECTED_STATUS, "expected status 200, got 503")
    desk.since += MINUTE
    await desk.open_incident()


async def redefine(desk: BundleDesk) -> None:
    await desk.run(-120, GOOD, generation="before")
    await desk.run(0, BAD, ErrorClass.EXPECTATION_FAILED, "expected 1, got 2", generation="after")
    await desk.open_incident()


async def get_slower(desk: BundleDesk) -> None:
    await count_hours(desk.client, (180, 100), (320, 50))
    at = desk.since.replace(minute=0, second=0, microsecond=0) - timedelta(hours=50)
    await desk.client.services.repositories.markers.put(DeploymentMarker("a-1", at - 2 * MINUTE, "shop 4ebecbce"))
    await desk.open_incident(key=AlertKey("checkout", "slower-than-usual"), evidence="p95 is 320 ms, usually 180 ms")


AZURE = "Azure Resource Health: Microsoft.Web/sites/shop: Unavailable"


async def attach_health(desk: BundleDesk) -> None:
    await desk.run(-120, GOOD)
    reported = AzureHealth("/subscriptions/1", AlertKey("checkout", "failed"), "Unavailable", AZURE, desk.since)
    await desk.open_incident(azure=(reported,))


async def starve(desk: BundleDesk) -> None:
    await desk.run(-120, GOOD)
    await desk.run(0, BAD, ErrorClass.RESPONSE_TIMEOUT, "no answer within 5 s", starved=True)
    await desk.open_incident()


async def lack_cpu(desk: BundleDesk) -> None:
    await desk.open_incident(key=AlertKey(SCHEDULER, "starved"), evidence="the process lacked CPU for 40 s")


async def be_blind(desk: BundleDesk) -> None:
    await desk.open_incident("search", parent=SCHEDULER)


PLANTED: dict[str, tuple[Callable[[BundleDesk], Awaitable[None]], str]] = {
    "certificate expired": (expire, "the certificate of the last good run expired at"),
    "certificate replaced": (
        replace_certificate,
        "Certificate differs from that of the last good run: `CN=shop.example became CN=other.example`",
    ),
    "name server": (lose_name_server, "shared by the alerts: `nameserver 10.0.0.4`"),
    "addresses": (move_addresses, "Addresses differs from that of the last good run: `192.0.2.1 became 192.0.2.9`"),
    "host down": (lose_host, "shared by the alerts: `host api.example.com`"),
    "error": (lose_host, "ended with connection refused: `api.example.com refused the connection`"),
    "deployment before": (deploy, "before the failure: `a deployment was marked: shop 4ebecbce"),
    "redefinition": (redefine, "the definition of the job is not that of its last good run"),
    "slower than usual": (get_slower, "UTC, 369 ms since: `shop 4ebecbce`"),
    "azure": (attach_health, f"Azure reports: `{AZURE}`"),
    "starved run": (starve, "the scheduler lacked CPU in the first failing run"),
    "starved": (lack_cpu, "the scheduler itself, not a target: `starved`"),
    "blind": (be_blind, "the scheduler could not reach anything"),
}


@pytest.mark.parametrize("scenario", PLANTED)
async def test_the_bundle_names_the_planted_cause(scenario: str) -> None:
    plant, named = PLANTED[scenario]
    async with BundleDesk(entry(alerts=RULES), entry("search")) as desk:
        await plant(desk)
        told = tell(await desk.read())
    assert any(named in line for line in told), told


async def test_the_first_failing_run_is_beside_the_last_good_one() -> None:
    async with BundleDesk() as desk:
        good = await desk.run(-60, GOOD, status=200, phases=Phases(2.0, 3.0, 9.0, 40.0, 60.0), body="")
        failures = (Failure("status", "200", "503"),)
        slow = Phases(2.0, 3.0, 9.0, 900.0, 920.0)
        first = await desk.run(
            0, BAD, ErrorClass.UNEXPECTED_STATUS, "got 503", status=503, phases=slow, failures=failures, body="no `up`"
        )
        await desk.run(60, BAD, ErrorClass.UNEXPECTED_STATUS, "got 503", status=503)
        await desk.open_incident()
        bundle = await desk.read()

    runs = {each.kind: each.subject for each in bundle.summary}
    assert (runs["last_good_run"], runs["first_failing_run"]) == (f"/api/runs/{good}", f"/api/runs/{first}")
    rows = {each.target_name: (each.target_failing, each.target_good, each.note) for each in bundle.differences}
    assert rows["Status"] == ("503", "200", "")
    assert rows["Failed expectations"] == ("status: expected 200, observed 503", "", "")
    assert rows["First byte"] == ("900 ms", "40 ms", "22 times as long")
    assert rows["Answer"] == ("no `up`", "", "")
    assert "| `Answer` | `` no `up` `` | - | differs |" in render_markdown(bundle)


async def test_the_first_failing_run_is_found_before_many_others() -> None:
    async with BundleDesk() as desk:
        await desk.run(-5, GOOD)
        first, *_ = [await desk.run(each, BAD, ErrorClass.DNS_FAILURE, "no such name") for each in range(0, 600, 5)]
        await desk.open_incident()
        bundle = await desk.read()
    assert {each.subject for each in bundle.summary if each.kind == "first_failing_run"} == {f"/api/runs/{first}"}


async def test_it_has_who_was_notified_who_was_not_and_why_and_what_people_wrote() -> None:
    decided = [
        ("announced", "nothing holds it back"),
        ("delivered", "delivered to mail"),
        ("held_back_silence", "held back by the silence of team=payments"),
        ("held_back_silence", "held back by the silence of team=payments: night shift"),
    ]
    async with BundleDesk() as desk:
        await desk.open_incident(
            notes=["the provider confirms"],
            decisions=decided,
            acknowledged_by="entra:ada",
            acknowledged_at=desk.since,
        )
        bundle = await desk.read()
    assert [(each.subject, each.kind, each.text) for each in bundle.notified] == [("mail", "delivered", "1 message")]
    (held,) = bundle.held_back
    assert (held.kind, held.text) == ("held_back_silence", "2 times")
    assert held.target_text.endswith("night shift")
    (handling,) = [each.person_text for each in bundle.summary if each.kind == "handling"]
    assert handling.startswith("acknowledged by entra:ada at")
    assert [(each.subject, each.person_text) for each in bundle.notes] == [("entra:ada", "the provider confirms")]
    assert [each.person_text for each in bundle.runbooks] == ["https://wiki.example.com/checkout"]
    assert bundle.decisions[0].target_values == {"channel": "mail", "number": "1"}


async def test_a_change_of_the_definition_names_the_keys_and_no_values() -> None:
    before = {"definition": {"retry": {"attempts": 3}, "schedule": "every 1m", "name": "checkout"}}
    after = {"definition": {"retry": {"attempts": 1}, "schedule": "every 1m", "url": CANARY, "name": "checkout"}}
    differences = {"checkout": [{"path": "check.url", "before": CANARY, "after": 2}], "search": [{"path": "tags.team"}]}
    async with BundleDesk() as desk:
        await desk.run(-0.1, GOOD)
        await desk.change("job.patch", "job checkout was patched", before=before, after=after)
        await desk.change("set.apply", "the set shop was applied", after={"differences": differences})
        desk.since += MINUTE
        await desk.run(0, BAD, ErrorClass.UNEXPECTED_STATUS, "got 503")
        await desk.open_incident()
        text = render_markdown(await desk.read())
    assert "`job.patch`: `job checkout was patched by local:loopback: retry.attempts, url`" in text
    assert "`set.apply`: `the set shop was applied by local:loopback: check.url`" in text
    assert CANARY not in text


async def test_the_answer_is_before_the_evidence() -> None:
    async with BundleDesk(entry(alerts=RULES), entry("search")) as desk:
        await deploy(desk)
        bundle = await desk.read()
    text = render_markdown(bundle)
    parts = [
        "# `DOWN checkout`",
        "Since ",
        "- `evidence`: ",
        "## Probable cause",
        "## What changed before",
        "## First failing",
    ]
    places = [text.index(part) for part in (*parts, "## Who was notified", "## Timeline", "## Decisions")]
    assert places == sorted(places)


async def test_what_the_causes_are_shared_by_is_shown() -> None:
    shared = SharedCause("host a`b", failing=2, sharing=3, fine=1, fine_jobs=("search",))
    async with BundleDesk() as desk:
        await desk.open_incident(shared=(shared,))
        told = tell(await desk.read())
    assert "`shared` 2 of 3 jobs that share it fail, fine: 1: ``host a`b``: `search`" in told


async def test_a_caller_that_is_limited_to_tags_reads_no_names_of_others() -> None:
    jobs = [entry(alerts=RULES, tags={"team": "payments"}), entry("search", tags={"team": "web"})]
    async with BundleDesk(*jobs, principal=PAYMENTS) as desk:
        await desk.run(-60, GOOD)
        await desk.run(0, BAD, ErrorClass.UNEXPECTED_STATUS, "search is down", body="ask search")
        await desk.change("job.patch", "job checkout was patched as search")
        await desk.open_incident("search", cause="parent search", evidence="behind search", notes=["see search"])
        answers = [
            (await desk.client.get(f"/api/incidents/{ID}/bundle", format=form)).text for form in ("json", "markdown")
        ]
    for text in answers:
        assert "checkout" in text
        assert "search" not in text
    assert json.loads(answers[0])["affected"] == 1


async def test_an_unknown_incident_is_not_found() -> None:
    async with BundleDesk() as desk:
        with pytest.raises(NotFound, match="there is no incident"):
            await desk.read()


CANARY = "c4nary-Pl4nted-Secret"


async def test_no_secret_is_in_a_bundle() -> None:
    redactor = Redactor()
    redactor.hold(CANARY)
    check = {"url": f"https://shop.internal/pay?key={CANARY}", "headers": {"X-Token": CANARY}}
    async with BundleDesk(entry(alerts=RULES, check=check)) as desk:
        desk.client.services.incident_reports.redact = redactor.redact
        await desk.run(-60, GOOD)
        # History has answers and messages without secrets.
        await desk.run(0, BAD, ErrorClass.UNEXPECTED_STATUS, "got 503", body=redactor.redact(f"token {CANARY}"))
        await desk.change("job.pause", f"job checkout was paused for {CANARY}", after={"reason": CANARY})
        decisions = [("held_back_silence", f"held back: {CANARY}")]
        await desk.open_incident(notes=["x" * 290 + CANARY, f"key {CANARY}"], decisions=decisions)
        bundle = await desk.read()
    for text in (bundle.model_dump_json(), render_markdown(bundle)):
        assert "token ***" in text
        assert CANARY not in text
        assert CANARY[:10] not in text
