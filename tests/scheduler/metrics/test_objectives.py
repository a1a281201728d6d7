"""The series of objectives on the page of metrics."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.runs import Outcome
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.objectives.queries import ObjectiveCounters
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.prometheus import promtool
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.metrics.page_reader import read_samples, scrape
from tests.scheduler.stores.samples import run_of

CHECKOUT = entry("checkout", slo={"target": 99.9})
SEARCH = entry("search", slo={"target": 99.0, "counts": "time"}, alerts=[{}])
LABELS = '{slo="checkout",job_name="checkout"}'


async def finish(client: ApiClient, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    ticket = client.shop.ticket(seconds, job)
    run = replace(run_of(ticket), outcome=outcome, started_at=ticket.due_at)
    await client.store_finished(ticket, run)


@virtual_time
async def test_an_objective_has_its_counters_from_zero_on_and_its_budget() -> None:
    async with ApiClient(jobs=[CHECKOUT, SEARCH]) as client:
        before = await scrape(client)
        for second in range(-600, 0, 60):
            await finish(client, "checkout", second)
        await finish(client, "checkout", -5, Outcome.FAILED)
        await asyncio.sleep(11)
        after = await scrape(client)

    assert before[f"scheduler_slo_valid_runs_total{LABELS}"] == before[f"scheduler_slo_bad_runs_total{LABELS}"] == 0
    assert f"scheduler_slo_error_budget_remaining_ratio{LABELS}" not in before
    assert after[f"scheduler_slo_target_ratio{LABELS}"] == 0.999
    assert (after[f"scheduler_slo_valid_runs_total{LABELS}"], after[f"scheduler_slo_bad_runs_total{LABELS}"]) == (11, 1)
    assert round(after[f"scheduler_slo_error_budget_remaining_ratio{LABELS}"], 3) == round(1 - 1 / 0.011, 3)
    window = LABELS.replace("}", ',window="1h"}')
    assert round(after[f"scheduler_slo_burn_rate{window}"], 3) == round(1 / 11 / 0.001, 3)
    time = [name for name in after if 'slo="search"' in name]
    assert not any("runs_total" in name for name in time)


async def test_an_objective_over_a_selector_is_gone_with_its_definition() -> None:
    shop = SelectedObjective.model_validate({"target": 99.5, "select": {"all": True}})
    async with ApiClient(jobs=[CHECKOUT]) as client:
        snapshot = client.shop.catalog.snapshot
        defined = define_alerting({"objectives": (DefinedEntry("shop", shop),)})
        client.shop.catalog.replace(JobSnapshot(tuple(snapshot), snapshot.loaded_at, alerting=defined))
        await finish(client, "checkout", -5, Outcome.FAILED)
        page = (await client.get("/api/metrics")).text
        client.shop.catalog.replace(JobSnapshot([entry("checkout")], snapshot.loaded_at))
        gone = await scrape(client)

    assert read_samples(page)['scheduler_slo_bad_runs_total{slo="shop",job_name=""}'] == 1
    assert promtool("check", "metrics", stdin=page).stderr == ""
    assert not any("slo=" in name for name in gone)


async def test_a_counter_begins_with_the_year_and_counts_a_day_that_is_over_once() -> None:
    async with ApiClient(jobs=[CHECKOUT]) as client:
        reader, clock = client.services.objectives, client.shop.clock
        counters = ObjectiveCounters(reader.measurer, 400 * 86400.0)
        for day in (-80, -40, -5, -1):
            await finish(client, "checkout", day * 86400, Outcome.FAILED)
        (objective,) = reader.list_objectives()
        first = await counters.read(objective, clock.now())
        assert (first, await counters.read(objective, clock.now())) == (first, first)
        monthly = ObjectiveCounters(reader.measurer, 90 * 86400.0)

        assert (clock.now().month, clock.now().day) == (3, 1)
        assert first.bad == 3, "the run of the year before is not counted"
        assert (await monthly.read(objective, clock.now())).bad == 0
