"""Changes of stored jobs by several processes: each is recorded once, with the definitions before and after."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from config.job_files.job_set import JobSet
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.schedules import parse_schedule
from scheduler.audit.stored_trail import StoredAuditTrail, entry_content
from scheduler.catalog import stored_jobs
from scheduler.catalog.catalog import UnknownJob
from scheduler.catalog.stored_jobs import CLAIM_TIMEOUT, ClaimWatch, StoredJobWatcher
from scheduler.errors import Conflict, InvalidDefinition, PreconditionFailed
from scheduler.features.stored_jobs.committing import MAX_DEFINITION, audit_job_change, audit_set
from scheduler.features.stored_jobs.service import ANY_VERSION, NEW_JOB, Precondition, format_etag
from scheduler.operations import Operations
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.stored_jobs.repository import StoredJobSweeper
from scheduler.stores.stored_jobs.tree import JobTree, JobWrite
from tests.parts.notifications import make_channel
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import START, Sent, Shop, VirtualClock
from tests.scheduler.stores.memory import MemoryData


def definition(name: str = "shop", schedule: str = "every 30s", **more: Any) -> dict[str, Any]:
    return {"name": name, "schedule": schedule, "check": {"kind": "http", "url": "http://127.0.0.1:9/"}, **more}


def processes(number: int) -> list[tuple[Shop, Operations]]:
    """Processes that share a store and have an audit trail in it."""
    data = MemoryData()
    shops = [Shop(data=data) for _ in range(number)]
    for shop in shops:
        shop.audit = StoredAuditTrail(shop.audit_log, shop.clock, shop.redactor)  # type: ignore[assignment]
    return [(shop, shop.operations(Sent())) for shop in shops]


async def entries(shop: Shop) -> list[dict[str, Any]]:
    return [decode_json(row.body) async for row in shop.audit_log.stream_rows()]


async def test_the_entry_of_a_change_has_the_definitions_before_and_after() -> None:
    ((shop, operations),) = processes(1)
    await operations.stored_jobs.create(definition(), API_CALLER)
    await operations.stored_jobs.put("shop", definition(schedule="every 5s"), ANY_VERSION, API_CALLER)
    await operations.stored_jobs.delete("shop", ANY_VERSION, API_CALLER)

    one = {"version": 1, "owner": "", "definition": definition()}
    two = {"version": 2, "owner": "", "definition": definition(schedule="every 5s")}
    found = [(entry["action"], entry["before"], entry["after"]) for entry in await entries(shop)]
    assert found == [("job.create", None, one), ("job.replace", one, two), ("job.delete", two, None)]


async def test_a_secret_that_a_definition_contains_by_mistake_is_redacted_in_its_entry() -> None:
    ((shop, operations),) = processes(1)
    shop.redactor.add_permanent("s3cr3t-value-of-checkout")

    await operations.stored_jobs.create(definition(description="s3cr3t-value-of-checkout"), API_CALLER)

    (entry,) = await entries(shop)
    assert "s3cr3t-value-of-checkout" not in encode_json(entry)
    assert entry["after"]["definition"]["check"] == definition()["check"]


def test_a_large_definition_is_recorded_by_its_size_and_hash() -> None:
    large = definition(tags={f"key-{number}": "v" * 100 for number in range(MAX_DEFINITION // 100)})

    change = audit_job_change("created", None, JobWrite("shop", large))

    assert change.after is not None
    assert set(change.after) == {"version", "owner", "definition_characters", "definition_sha256"}
    assert change.after["definition_characters"] == len(encode_json(large))


async def test_each_of_many_concurrent_changes_is_one_entry_with_one_result() -> None:
    shops = processes(5)
    names = [f"job-{number}" for number in range(len(shops) * 4)]

    await asyncio.gather(
        *(
            operations.stored_jobs.create(definition(name), API_CALLER)
            for number, (_, operations) in enumerate(shops)
            for name in names[number::5]
        )
    )

    found = await entries(shops[0][0])
    assert sorted(entry["object"] for entry in found) == sorted(names)
    assert {entry["kind"] for entry in found} == {"change"}


async def test_of_writers_with_the_same_etag_one_changes_the_job_and_only_it_is_recorded() -> None:
    shops = processes(5)
    await shops[0][1].stored_jobs.create(definition(), API_CALLER)
    sources = await shops[0][0].stored.read()
    (entry,) = sources.jobs()
    etag = Precondition(exists=True, etags=frozenset({format_etag(entry)}))

    answers = await asyncio.gather(
        *(
            operations.stored_jobs.put("shop", definition(schedule=f"every {number + 1}s"), etag, API_CALLER)
            for number, (_, operations) in enumerate(shops)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, PreconditionFailed) for answer in answers) == 4
    found = [(entry["kind"], entry["action"]) for entry in await entries(shops[0][0])]
    assert found == [("change", "job.create"), ("change", "job.replace")]


async def test_a_claim_of_a_process_that_has_ended_is_abandoned_after_some_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_jobs, "CLAIM_TIMEOUT", 0.1)
    ((shop, operations),) = processes(1)
    await operations.stored_jobs.create(definition(), API_CALLER)
    head = (await shop.stored.read()).head
    await shop.stored.replace_head(head, replace(head, claim="of a process that has ended"))
    began = shop.clock.monotonic()

    await operations.stored_jobs.put("shop", definition(schedule="every 5s"), ANY_VERSION, API_CALLER)

    assert shop.clock.monotonic() - began >= 0.1
    assert shop.catalog.get_job("shop").job.schedule is not None
    assert len(await entries(shop)) == 2


@pytest.mark.parametrize("writes", range(6))
async def test_a_process_that_has_observed_an_abandoned_claim_long_enough_changes_jobs_at_once(writes: int) -> None:
    """The process of the claim ended after so many writes: of rows, claim, entry and head."""
    ((shop, operations),) = processes(1)
    await operations.stored_jobs.create(definition(), API_CALLER)
    dying = Shop(data=shop.store.data)
    dying.store.breaks_after = writes
    dying.audit = StoredAuditTrail(dying.audit_log, dying.clock, dying.redactor)  # type: ignore[assignment]
    with suppress(StoreUnavailable):
        await dying.operations(Sent()).stored_jobs.put("shop", definition(schedule="every 5s"), ANY_VERSION, API_CALLER)
    found = (await shop.stored.read()).find_job("shop")
    assert found is not None

    time = VirtualClock()
    shop.claims = ClaimWatch(time)
    await StoredJobWatcher(shop.stored, shop.composer, time, shop.claims).refresh()
    time.move(CLAIM_TIMEOUT)
    async with asyncio.timeout(5):  # Of the watch's time, none passes: a change that waited would wait forever.
        await shop.operations(Sent()).stored_jobs.put("shop", definition(schedule="every 7s"), ANY_VERSION, API_CALLER)

    last = (await entries(shop))[-1]
    assert (last["before"]["version"], last["after"]["version"]) == (found.number, found.number + 1)
    assert last["before"]["definition"] == decode_json(found.text)
    assert shop.catalog.get_job("shop").job.schedule == parse_schedule("every 7s")


async def test_a_change_after_a_sweep_is_made() -> None:
    ((shop, operations),) = processes(1)
    await operations.stored_jobs.create(definition(), API_CALLER)
    await operations.stored_jobs.put("shop", definition(schedule="every 5s"), ANY_VERSION, API_CALLER)
    assert await StoredJobSweeper(shop.store, shop.stored).sweep(shop.clock.now() + timedelta(hours=2))

    assert await operations.stored_jobs.put("other", definition("other"), NEW_JOB, API_CALLER)


async def test_a_deleted_job_is_restored_within_its_retention_and_new_afterwards() -> None:
    ((shop, operations),) = processes(1)
    deleted_at = shop.clock.now()
    await operations.stored_jobs.create(definition(), API_CALLER)
    (first,) = (await shop.stored.read()).jobs()
    await operations.stored_jobs.delete("shop", ANY_VERSION, API_CALLER)
    await StoredJobSweeper(shop.store, shop.stored).sweep(deleted_at + timedelta(days=399))
    await operations.stored_jobs.restore("shop", 1, NEW_JOB, API_CALLER)
    await operations.stored_jobs.delete("shop", ANY_VERSION, API_CALLER)

    await StoredJobSweeper(shop.store, shop.stored).sweep(deleted_at + timedelta(days=401))

    with pytest.raises(UnknownJob):
        await operations.stored_jobs.restore("shop", 1, NEW_JOB, API_CALLER)
    await operations.stored_jobs.create(definition(), API_CALLER)
    (new,) = (await shop.stored.read()).jobs()
    assert (first.number, new.number) == (1, 1)
    etag = Precondition(exists=True, etags=frozenset({format_etag(first)}))
    with pytest.raises(PreconditionFailed):
        await operations.stored_jobs.put("shop", definition(schedule="every 5s"), etag, API_CALLER)


def test_the_entry_of_a_set_of_ten_thousand_jobs_names_each_with_its_version_and_fits_in_a_row() -> None:
    writes = [JobWrite(f"job-{number:05}-of-the-shop", definition(), "shop") for number in range(10_000)]

    change = audit_set("shop", JobTree(), writes)
    content = entry_content(START, "change", API_CALLER, change, Shop().redactor)

    assert content["after"]["written"] == {write.name: 1 for write in writes}
    assert len(content["jobs"]) == 10_000
    listed = content["after"]["differences"]
    assert content["after"]["differences_omitted"] == 10_000 - len(listed)
    assert {"path": "schedule", "before": None, "after": "every 30s"} in listed["job-00000-of-the-shop"]
    assert len(encode_json(content)) < 900_000


@pytest.mark.parametrize("number", [50_000])
def test_the_entry_of_the_largest_set_is_bounded(number: int) -> None:
    writes = [JobWrite(f"a-name-of-a-job-that-is-quite-long-{at:05}", {"check": "a"}, "shop") for at in range(number)]

    content = entry_content(START, "change", API_CALLER, audit_set("shop", JobTree(), writes), Shop().redactor)

    assert content["after"]["versions_omitted"] == number - len(content["after"]["written"])
    assert len(encode_json(content)) < 900_000


async def test_a_job_that_names_an_unknown_channel_is_refused_but_stays_in_force_once_files_lose_it() -> None:
    ((shop, operations),) = processes(1)
    channel = DefinedEntry("team", make_channel(kind="ntfy", topic="team"), "jobs/alerting.yaml:3")
    await shop.composer.replace_files(JobSet(alerting=define_alerting({"channels": (channel,)})))

    with pytest.raises(InvalidDefinition) as refused:
        await operations.stored_jobs.create(definition(alerts=[{"notify": "teem"}]), API_CALLER)
    assert [str(problem) for problem in refused.value.problems] == [
        "alerts[0].notify: there is no channel teem, did you mean team? "
        "define it in alerting.channels of a job file, or name another one"
    ]
    await operations.stored_jobs.create(definition(alerts=[{"notify": "team"}]), API_CALLER)
    await shop.composer.replace_files(JobSet(digest="other"))
    stored = shop.composer.sources.stored["shop"]
    assert stored.is_in_force
    assert "shop" in shop.catalog
    assert [problem.message for problem in stored.unknown_names] == ["there is no channel team"]
    with pytest.raises(InvalidDefinition, match="there is no channel team"):
        await operations.stored_jobs.put(
            "shop", definition(alerts=[{"notify": "team"}], description="x"), ANY_VERSION, API_CALLER
        )
    await operations.stored_jobs.put("shop", definition(alerts=[]), ANY_VERSION, API_CALLER)
    assert not shop.composer.sources.stored["shop"].unknown_names


async def test_a_job_that_is_a_parent_of_alerts_is_not_deleted() -> None:
    ((shop, operations),) = processes(1)
    await operations.stored_jobs.create(definition("router"), API_CALLER)
    await operations.stored_jobs.create(definition(alert_parent="router"), API_CALLER)

    with pytest.raises(Conflict, match="the alerts of the job shop need it: alert_parent: the parent router"):
        await operations.stored_jobs.delete("router", ANY_VERSION, API_CALLER)

    assert "router" in shop.catalog
