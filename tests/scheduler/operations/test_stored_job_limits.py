"""The limits of stored jobs: growth beyond them is refused, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import Conflict
from scheduler.features.stored_jobs.allowed_changes import StoredJobLimits
from scheduler.features.stored_jobs.service import ANY_VERSION, NEW_JOB
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.operations import Operations
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import Sent, Shop
from tests.scheduler.stores.memory import MemoryData


def caller_of(*teams: str) -> Caller:
    tags = tuple(("team", team) for team in teams)
    return Caller(Principal(PrincipalKind.API_KEY, "deploy", Role.ADMIN, tags), ChangeSource.API)


def definition(name: str, team: str = "a", schedule: str = "every 30s") -> dict[str, Any]:
    check = {"kind": "http", "url": "http://127.0.0.1:9/"}
    return {"name": name, "schedule": schedule, "check": check, "tags": {"team": team}}


def document(*names: str, team: str = "a", schedule: str = "every 30s") -> dict[str, Any]:
    return {"jobs": {name: {**definition(name, team, schedule)} for name in names}}


def opened(data: MemoryData | None = None, total: int = 10_000, per_tag: int = 1000) -> tuple[Shop, Operations]:
    shop = Shop(data=data or MemoryData())
    shop.stored_job_limits = StoredJobLimits(total, per_tag)
    return shop, shop.operations(Sent())


async def apply(operations: Operations, content: Mapping[str, Any], caller: Caller, owner: str = "shop") -> None:
    plan = await operations.job_sets.plan(owner, content, caller)
    await operations.job_sets.apply(owner, content, plan.id, caller)


async def test_a_job_beyond_the_limit_is_refused_with_the_setting_that_raises_it() -> None:
    _, operations = opened(total=2)
    for name in ("one", "two"):
        await operations.stored_jobs.create(definition(name), API_CALLER)

    with pytest.raises(Conflict) as refused:
        await operations.stored_jobs.create(definition("three"), API_CALLER)

    assert str(refused.value) == (
        "there are 2 stored jobs, the change would make 3, and the limit is 2: "
        "delete jobs, or raise the setting stored_jobs.limit"
    )


async def test_a_limited_caller_is_refused_by_the_jobs_of_its_tag() -> None:
    _, operations = opened(per_tag=1)
    for name in ("b-one", "b-two"):
        await operations.stored_jobs.create(definition(name, "b"), API_CALLER)
    await operations.stored_jobs.create(definition("one"), caller_of("a"))

    with pytest.raises(Conflict) as refused:
        await operations.stored_jobs.create(definition("two"), caller_of("a"))

    assert str(refused.value) == (
        "there are 1 stored jobs with the tag team:a, the change would make 2, and the limit is 1: "
        "delete jobs, or raise the setting stored_jobs.limit_per_tag"
    )


async def test_a_limited_caller_does_not_learn_how_many_jobs_others_have_stored() -> None:
    _, operations = opened(total=2)
    for name in ("b-one", "b-two"):
        await operations.stored_jobs.create(definition(name, "b"), API_CALLER)

    with pytest.raises(Conflict) as refused:
        await operations.stored_jobs.create(definition("one"), caller_of("a"))

    assert str(refused.value) == "the limit of 2 stored jobs of all teams is reached (stored_jobs.limit)"


async def test_a_caller_of_two_tags_has_the_limit_of_each() -> None:
    shop, operations = opened(per_tag=1)
    for team in ("a", "b"):
        await operations.stored_jobs.create(definition(f"{team}-job", team), caller_of("a", "b"))
    with pytest.raises(Conflict, match="with the tag team:b"):
        await operations.stored_jobs.put("a-job", definition("a-job", "b"), ANY_VERSION, caller_of("a", "b"))
    assert set(shop.composer.sources.stored) == {"a-job", "b-job"}


async def test_a_caller_without_tags_may_exceed_the_limit_of_a_tag() -> None:
    shop, operations = opened(per_tag=1)
    for name in ("one", "two"):
        await operations.stored_jobs.create(definition(name), API_CALLER)
    assert len(shop.composer.sources.stored) == 2


async def test_a_set_beyond_the_limit_is_refused_when_it_is_planned() -> None:
    shop, operations = opened(total=2)
    with pytest.raises(Conflict, match="would make 3, and the limit is 2"):
        await operations.job_sets.plan("shop", document("one", "two", "three"), API_CALLER)
    assert not shop.composer.sources.stored


async def test_a_deleted_job_is_restored_only_within_the_limit() -> None:
    _, operations = opened(total=1)
    await operations.stored_jobs.create(definition("one"), API_CALLER)
    await operations.stored_jobs.delete("one", ANY_VERSION, API_CALLER)
    await operations.stored_jobs.create(definition("two"), API_CALLER)

    with pytest.raises(Conflict, match="the limit is 1"):
        await operations.stored_jobs.restore("one", 1, NEW_JOB, API_CALLER)

    await operations.stored_jobs.delete("two", ANY_VERSION, API_CALLER)
    await operations.stored_jobs.restore("one", 1, NEW_JOB, API_CALLER)


async def test_a_store_above_the_limit_is_in_force_and_can_be_changed_and_shrunk() -> None:
    data = MemoryData()
    _, before = opened(data)
    await apply(before, document("one", "two", "three"), API_CALLER)
    shop, operations = opened(data, total=1, per_tag=1)

    await operations.stored_jobs.put("one", definition("one", schedule="every 5s"), ANY_VERSION, caller_of("a"))
    await apply(operations, document("two", "four"), API_CALLER)

    assert set(shop.composer.sources.stored) == {"two", "four"}
    assert set(shop.catalog.names()) >= {"two", "four"}


async def test_concurrent_changes_of_several_processes_do_not_exceed_the_limit_together() -> None:
    data = MemoryData()
    processes = [opened(data, total=5) for _ in range(4)]
    results = await asyncio.gather(
        *(
            operations.stored_jobs.create(definition(f"job-{number}-{attempt}"), API_CALLER)
            for number, (_, operations) in enumerate(processes)
            for attempt in range(3)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Conflict) for result in results) == 7
    tree = await processes[0][0].stored.read()
    assert len([*tree.jobs()]) == 5


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "delete", "set"]),
        st.sampled_from(["one", "two", "three", "four", "five"]),
        st.sampled_from(["a", "b"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(STEPS)
def test_no_series_of_changes_grows_beyond_a_limit(steps: list[tuple[str, str, str, bool]]) -> None:
    async def change() -> None:
        shop, operations = opened(total=3, per_tag=2)
        for verb, name, team, is_limited in steps:
            caller = caller_of(team) if is_limited else API_CALLER
            count = lambda team: sum(  # noqa: E731
                one.located is not None and one.located.job.tags["team"] == team
                for one in shop.composer.sources.stored.values()
            )
            before = count(team)
            try:
                if verb == "create":
                    await operations.stored_jobs.create(definition(name, team), caller)
                elif verb == "delete":
                    await operations.stored_jobs.delete(name, ANY_VERSION, caller)
                else:
                    await apply(operations, document(name, f"{name}-2", team=team), caller, team)
            except (Conflict, LookupError):
                pass
            assert len(shop.composer.sources.stored) <= 3
            if is_limited:
                assert count(team) <= max(2, before)

    asyncio.run(change())
