"""GET /api/audit, /api/audit/head and /api/audit/export."""

from __future__ import annotations

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.features.audit.queries import AuditFilter
from scheduler.features.audit.verification import ChainVerifier
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.audit import AUDIT_TABLE
from scheduler.stores.port import Upsert
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import entry


async def write(at: ApiClient, count: int) -> None:
    trail = StoredAuditTrail(at.shop.audit_log, at.shop.clock, Redactor())
    for number in range(count):
        change = AuditedChange("job.pause", "checkout", f"pause {number} \u202e", ("checkout",), None, {"until": None})
        await trail.record(API_CALLER, change)


@virtual_time
async def test_the_trail_is_listed_page_by_page_newest_first() -> None:
    async with ApiClient() as at:
        await write(at, 5)

        entries = await at.get_all("/api/audit", "entries", limit=2, action="job.pause")

    assert [entry["seq"] for entry in entries] == [5, 4, 3, 2, 1]
    assert entries[0] == entries[0] | {
        "kind": "change",
        "object": "checkout",
        "principal": "local:loopback",
        "source": "api",
        "address": "127.0.0.1",
        "request_id": "request-1",
        "after": {"until": None},
        "partial": False,
        "prev": entries[1]["hash"],
    }


@virtual_time
async def test_a_damaged_entry_does_not_hide_the_others() -> None:
    async with ApiClient() as at:
        await write(at, 3)
        body = '{"seq":"two","kind":"odd","jobs":[]}'
        await at.shop.store.apply(Upsert(AUDIT_TABLE, "chain", f"{2:012d}", body))

        entries = (await at.get("/api/audit")).json()["entries"]

    assert [(entry["seq"], entry["kind"]) for entry in entries] == [(3, "change"), (2, "damaged"), (1, "change")]


@virtual_time
async def test_invalid_parameters_are_rejected() -> None:
    async with ApiClient() as at:
        assert (await at.get("/api/audit", continuation="x")).status_code == 422
        assert (await at.get("/api/audit", **{"from": "yesterday"})).status_code == 422
        assert (await at.get("/api/audit", user="ada")).status_code == 400
        assert (await at.get("/api/audit", job="unknown")).status_code == 404


@virtual_time
async def test_the_head_is_an_anchor() -> None:
    async with ApiClient() as at:
        empty = (await at.get("/api/audit/head")).json()
        await write(at, 3)
        head = (await at.get("/api/audit/head")).json()
        last = (await at.get("/api/audit", limit=1)).json()["entries"][0]

    assert (empty["sequence"], empty["count"]) == (0, 0)
    assert (head["sequence"], head["first"], head["count"]) == (3, 1, 3)
    assert head["anchor"] == f"3:{last['hash']}"


@virtual_time
async def test_the_export_is_a_valid_chain_of_lines() -> None:
    async with ApiClient() as at:
        await write(at, 250)
        response = await at.get("/api/audit/export")
        head = (await at.get("/api/audit/head")).json()

    assert response.headers["content-type"] == "application/x-ndjson"
    verifier = ChainVerifier({head["sequence"]: head["hash"]})
    for line in response.text.splitlines():
        verifier.add(line)
    verified = verifier.finish()
    assert not verified.findings
    assert verified.count == 250


@virtual_time
async def test_an_export_of_an_unavailable_store_is_answered_with_503() -> None:
    async with ApiClient() as at:
        at.shop.store.breaks_after = 0
        response = await at.get("/api/audit/export")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@virtual_time
async def test_an_operation_that_cannot_be_recorded_is_answered_with_503() -> None:
    async with ApiClient() as at:
        at.shop.audit.is_unavailable = True
        response = await at.post("/api/jobs/checkout/pause")
        job = (await at.get("/api/jobs/checkout")).json()

    assert response.status_code == 503
    assert job["pause"] is None


@virtual_time
async def test_a_caller_with_tag_limits_reads_through_the_services_that_are_made_for_it() -> None:
    limited = Principal(PrincipalKind.API_KEY, "payments", Role.ADMIN, (("team", "payments"),))
    jobs = [entry("checkout"), entry("pay", tags={"team": "payments"})]
    async with ApiClient(jobs=jobs) as at:
        trail = StoredAuditTrail(at.shop.audit_log, at.shop.clock, Redactor())
        for names in (("checkout",), ("pay",), ("checkout", "pay")):
            await trail.record(API_CALLER, AuditedChange("jobs.reload", "", f"reload of {names}", names))

        queries = at.services.for_principal(limited).audit_queries
        page = await queries.list_views(limited, AuditFilter(), limit=10)

    assert [(view.number, view.fields["jobs"]) for view in page.entries] == [(3, ["pay"]), (2, ["pay"])]


@virtual_time
async def test_the_bounds_of_a_range_can_be_any_instant() -> None:
    async with ApiClient() as at:
        await write(at, 1)
        bounds = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}

        listed = await at.get("/api/audit", **bounds)
        exported = await at.get("/api/audit/export", **bounds)

    assert [entry["seq"] for entry in listed.json()["entries"]] == [1]
    assert len(exported.text.splitlines()) == 1
