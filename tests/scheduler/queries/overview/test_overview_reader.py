"""The state of all jobs, from what the process knows, and what makes it a new revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs.selection import TagFilter
from scheduler.features.overview.queries import Overview
from scheduler.features.overview.summaries import (
    MIN_UNSTABLE_CHANGES,
    OverviewCriteria,
    OverviewJob,
    SortOrder,
    Standing,
    group_summaries,
    select_summaries,
    sort_summaries,
    summarize,
)
from scheduler.stores.gates import Pause
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START, entry

ONCE = {"retry": {"attempts": 1}}


def state(status: JobStatus, message: str = "", previous: JobStatus | None = None, minutes: int = 0) -> StateChange:
    return StateChange(
        "checkout", 2, status, START - timedelta(minutes=minutes), Cause("failed", message), previous=previous
    )


def job(status: JobStatus | None, name: str = "checkout", minutes: int = 0, **definition: object) -> OverviewJob:
    one: CatalogJob = entry(name, **definition)  # type: ignore[arg-type]
    return summarize(one, None if status is None else state(status, minutes=minutes), None, None, 0)


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        (None, Standing.NO_RUN),
        (JobStatus.UNKNOWN, Standing.NO_RUN),
        (JobStatus.UP, Standing.UP),
        (JobStatus.DEGRADED, Standing.UNSTABLE),
        (JobStatus.DOWN, Standing.DOWN),
        (JobStatus.SILENT, Standing.SILENT),
        (JobStatus.WAITING, Standing.WAITING),
        (JobStatus.PAUSED, Standing.NO_RUN),
    ],
)
def test_the_recorded_state_is_shown(status: JobStatus | None, standing: Standing) -> None:
    assert job(status).standing is standing


def test_the_definition_and_the_pause_count_more() -> None:
    pause = Pause("checkout", START)
    down = state(JobStatus.DOWN, "refused")
    assert summarize(entry(enabled=False), down, pause, None, 0).standing is Standing.DISABLED
    paused = summarize(entry(), down, pause, None, 0)
    assert (paused.standing, paused.since, paused.cause) == (Standing.PAUSED, START, "")


def test_several_changes_in_a_day_are_unstable() -> None:
    up = state(JobStatus.UP, previous=JobStatus.DOWN)
    assert summarize(entry(), up, None, None, MIN_UNSTABLE_CHANGES - 1).standing is Standing.UP
    shaky = summarize(entry(), up, None, None, MIN_UNSTABLE_CHANGES)
    assert (shaky.standing, shaky.is_degraded, shaky.last_outage) == (Standing.UNSTABLE, False, START)


def test_the_cause_is_told_in_words() -> None:
    assert summarize(entry(), state(JobStatus.DOWN, "Refused."), None, None, 0).cause == "Refused."
    assert summarize(entry(), state(JobStatus.DOWN), None, None, 0).cause == "failed"
    assert summarize(entry(), state(JobStatus.UP, "Answered 200."), None, None, 0).cause == ""


def test_a_job_whose_runs_are_unknown_says_why_and_what_was_known() -> None:
    lost = replace(state(JobStatus.UNKNOWN, previous=JobStatus.DOWN), cause=Cause("unknown", "403: grant Reader."))
    summary = summarize(entry(), lost, None, None, 0)
    assert (summary.standing, summary.since) == (Standing.UNKNOWN, START)
    assert (summary.cause, summary.last_known) == ("403: grant Reader.", "down")
    assert not summary.standing.is_broken


def test_a_job_that_waits_says_for_which_job() -> None:
    cause = Cause("dependency", "dependency run cache@x failed (condition: succeeded)")
    waits = replace(state(JobStatus.WAITING), cause=cause)
    summary = summarize(entry(depends_on=["database", "cache"]), waits, None, None, 0)
    assert (summary.standing, summary.wait, summary.cause) == (Standing.WAITING, "waiting for cache", "")
    assert not summary.standing.is_broken
    assert summarize(entry(), waits, Pause("checkout", START), None, 0).wait == ""


CART = {"depends_on": ["cache"], "retry": {"attempts": 1}}


@virtual_time
async def test_a_job_whose_dependency_fails_waits_until_it_runs_again() -> None:
    jobs = [entry("cache", **ONCE), entry("cart", **CART), entry("mail", None, **CART)]
    async with ApiClient(answer(), answer(), answer(), REFUSED, answer(), answer(), answer(), jobs=jobs) as client:

        async def run_all() -> dict[str, str]:
            for name in ("cache", "cart"):
                await client.perform(name)
                await client.shop.clock.sleep(5)
            overview = await client.services.overview.read()
            return {each.name: each.wait or each.standing.value for each in overview.summaries}

        assert await run_all() == {"cache": "up", "cart": "up", "mail": "up"}
        assert await run_all() == {"cache": "down", "cart": "waiting for cache", "mail": "waiting for cache"}
        shown = (await client.get("/api/jobs/cart")).json()
        assert (shown["status"], shown["wait"]) == ("waiting", "waiting for cache")
        assert shown["reason"].startswith("dependency run cache@")
        assert (await client.get("/api/jobs/cache")).json()["reason"] == "checkout.internal:443 refused the connection."
        assert await run_all() == {"cache": "up", "cart": "up", "mail": "up"}
        assert (await client.services.overview.read()).facts.changes["cart"] == 1, "waiting is not unstable"


JOBS = (
    job(JobStatus.UP, "a", 5, description="Charges cards", tags={"team": "payments", "owner": "ada"}),
    job(JobStatus.DOWN, "b", 90, tags={"team": "search"}),
    job(JobStatus.DEGRADED, "c", 200, tags={"team": "payments"}),
    job(JobStatus.DOWN, "d", 10),
)


def names(jobs: Sequence[OverviewJob]) -> str:
    return "".join(each.name for each in jobs)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (OverviewCriteria(), "abcd"),
        (OverviewCriteria(text="CARDS"), "a"),
        (OverviewCriteria(standing=Standing.DOWN), "bd"),
        (OverviewCriteria(tags=(TagFilter("team", "payments"),)), "ac"),
        (OverviewCriteria(tags=(TagFilter("team"),)), "abc"),
        (OverviewCriteria(owner="ada"), "a"),
        (OverviewCriteria(kind="tcp"), ""),
        (OverviewCriteria(has_changed=True), "ad"),
    ],
)
def test_filters_select(criteria: OverviewCriteria, expected: str) -> None:
    assert names(select_summaries(JOBS, criteria, START)) == expected


def test_orders() -> None:
    assert names(sort_summaries(JOBS, SortOrder.STATE)) == "bdca"
    assert names(sort_summaries(JOBS, SortOrder.NAME)) == "abcd"
    assert names(sort_summaries(JOBS, SortOrder.FAILURE)) == "dbca"
    assert names(sort_summaries(JOBS, SortOrder.LATENCY, {"c": 5.0, "a": 9.0})) == "acbd"


def test_the_group_with_the_worst_state_is_first_and_jobs_without_the_tag_are_last_among_equals() -> None:
    groups = group_summaries(sort_summaries(JOBS, SortOrder.STATE), "team")
    assert [(group.value, names(group.summaries)) for group in groups] == [
        ("search", "b"),
        ("", "d"),
        ("payments", "ca"),
    ]


@virtual_time
async def test_a_revision_changes_with_the_state_and_not_with_runs() -> None:
    async with ApiClient(answer(), answer(), REFUSED, jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        seen: list[Overview] = []
        for _ in range(3):
            await client.perform(seconds=len(seen))
            seen.append(await client.services.overview.read(seen[-1] if seen else None))

    up, same, down = seen
    assert up.revision == same.revision != down.revision
    assert up.newest_runs(["checkout"]) != same.newest_runs(["checkout"])
    assert [each.standing for each in down.summaries] == [Standing.DOWN]


@virtual_time
async def test_a_pause_and_its_end_are_other_revisions() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        first = await client.services.overview.read()
        await client.shop.pauses.set_pause(Pause("checkout", START, START + timedelta(seconds=30)))
        paused = await client.services.overview.read(first)
        await client.shop.clock.sleep(31)
        ended = await client.services.overview.read(paused)

    assert len({first.revision, paused.revision, ended.revision}) == 3
    assert paused.summaries[0].standing is Standing.PAUSED
