"""Sets of jobs over the API: planned, confirmed by a hash, and applied together or not at all."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.problems import Problem
from scheduler.api import definition_requests
from scheduler.catalog import composition
from scheduler.features.stored_jobs import committing, routes, sets
from scheduler.features.stored_jobs.queries import FieldChange
from scheduler.features.stored_jobs.sets import JobDifference, SetPlan, SetReview, serialize_plan, view_plan
from scheduler.stores.stored_jobs import repository
from tests.scheduler.api.api_client import ApiClient

CHECK = {"kind": "http", "url": "http://127.0.0.1:9/"}


def job_set(*names: str, schedule: str = "every 30s", **more: Any) -> dict[str, Any]:
    return {"jobs": {name: {"schedule": schedule, "check": CHECK, **more} for name in names}}


async def plan(client: ApiClient, body: Any, owner: str = "shop", **query: str) -> Any:
    answer = await client.request("POST", f"/api/sets/{owner}/plan", json=body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def apply(client: ApiClient, body: Any, plan_id: str, owner: str = "shop", **query: str) -> Any:
    return await client.request("POST", f"/api/sets/{owner}/apply", json=body, params={"plan_id": plan_id, **query})


async def applied(client: ApiClient, body: Any, owner: str = "shop") -> None:
    answer = await apply(client, body, (await plan(client, body, owner))["plan_id"], owner)
    assert answer.status_code == 200, answer.text


async def test_a_set_adds_changes_and_removes_its_own_jobs_together() -> None:
    async with ApiClient() as client:
        await applied(client, job_set("a", "b", "c"))
        await client.post_json("/api/jobs", {"name": "by-hand", "check": CHECK})
        desired = {"defaults": {"tags": {"team": "x"}}, "jobs": {**job_set("a")["jobs"], "d": {"check": CHECK}}}
        desired["jobs"] |= job_set("b", schedule="every 5s")["jobs"]

        planned = await plan(client, desired)
        assert "d" not in client.shop.catalog
        answer = await apply(client, desired, planned["plan_id"])

        names = client.shop.catalog.names()
        again = await plan(client, desired)

    assert [one["name"] for one in planned["added"]] == ["d"]
    assert [one["name"] for one in planned["changed"]] == ["a", "b"]
    assert [one["name"] for one in planned["removed"]] == ["c"]
    changed = planned["changed"][1]
    assert {"path": "schedule.every", "before": "30s", "after": "5s"} in changed["fields"]
    assert (len(changed["next_before"]), len(changed["next_after"])) == (10, 10)
    assert answer.json()["applied"]
    assert list(names) == ["a", "b", "by-hand", "checkout", "d"]
    assert (again["added"], again["changed"], again["removed"], again["unchanged"]) == ([], [], [], 3)


async def test_a_plan_of_other_jobs_or_of_another_set_is_refused() -> None:
    async with ApiClient() as client:
        planned = await plan(client, job_set("a"))
        other_set = await apply(client, job_set("a", "b"), planned["plan_id"])
        await client.post_json("/api/jobs", {"name": "by-hand", "check": CHECK})
        other_jobs = await apply(client, job_set("a"), planned["plan_id"])

        assert (other_set.status_code, other_jobs.status_code) == (409, 409)
        assert list(client.shop.catalog.names()) == ["by-hand", "checkout"]


async def test_a_job_of_another_owner_is_a_conflict_unless_it_is_adopted() -> None:
    async with ApiClient() as client:
        await applied(client, job_set("a"), "other")
        await client.post_json("/api/jobs", {"name": "by-hand", "check": CHECK})
        desired = job_set("a", "by-hand", "checkout")
        planned = await plan(client, desired)
        refused = await apply(client, desired, planned["plan_id"])
        del desired["jobs"]["checkout"]
        adopting = await plan(client, desired, adopt="true")
        adopted = await apply(client, desired, adopting["plan_id"], adopt="true")
        owner = (await client.get("/api/jobs/a")).json()["owner"]

    assert [one["name"] for one in planned["conflicts"]] == ["a", "by-hand", "checkout"]
    assert refused.status_code == 409
    assert adopted.status_code == 200
    assert owner == "shop"


async def test_one_invalid_job_leaves_all_jobs_unchanged() -> None:
    async with ApiClient() as client:
        answer = await client.request(
            "POST", "/api/sets/shop/plan", json={"jobs": {**job_set("a")["jobs"], "b": {"check": {"kind": "http"}}}}
        )

        assert answer.status_code == 422
        assert [error["location"] for error in answer.json()["errors"]] == ["body.jobs.b.check.url"]
        assert list(client.shop.catalog.names()) == ["checkout"]


async def test_a_dry_run_changes_nothing() -> None:
    async with ApiClient() as client:
        planned = await plan(client, job_set("a"))
        answer = await apply(client, job_set("a"), planned["plan_id"], dry_run="true")

        assert (answer.status_code, answer.json()["applied"]) == (200, False)
        assert "a" not in client.shop.catalog


async def test_a_paused_job_stays_paused_when_its_set_is_applied() -> None:
    async with ApiClient() as client:
        await applied(client, job_set("a"))
        await client.post("/api/jobs/a/pause")
        await applied(client, job_set("a", schedule="every 5s"))

        assert (await client.get("/api/jobs/a")).json()["pause"] is not None


async def test_sets_are_listed_with_their_number_of_jobs_and_last_change() -> None:
    async with ApiClient() as client:
        assert (await client.get("/api/sets")).json() == {"sets": [], "generation": 0, "continuation": None}
        await applied(client, job_set("a", "b"), "shop")
        await applied(client, job_set("c"), "reports")
        await client.post_json("/api/jobs", {"name": "by-hand", "check": CHECK})
        before = client.shop.clock.now()

        sets = await client.get_all("/api/sets", "sets", limit=1)
        page = (await client.get("/api/sets")).json()

    assert [(one["owner"], one["jobs"]) for one in sets] == [("reports", 1), ("shop", 2)]
    assert page["generation"] == 3
    assert sets[1]["changed_at"] <= sets[0]["changed_at"] <= before.isoformat()


async def test_what_takes_longer_with_each_job_runs_outside_of_the_thread_of_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: dict[str, set[int]] = defaultdict(set)

    def watch(where: Any, name: str) -> None:
        original = getattr(where, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            threads[name].add(threading.get_ident())
            return original(*arguments, **named)

        monkeypatch.setattr(where, name, watched)

    for where, name in (
        (definition_requests, "parse_definition_json"),
        (sets, "read_written_jobs"),
        (sets, "compare_set"),
        (sets, "_plan_id"),
        (sets, "_describe_writes"),
        (sets, "audit_set"),
        (committing, "_find_oversized"),
        (composition, "build_snapshot"),
        (repository, "_build_rows"),
        (routes, "serialize_plan"),
    ):
        watch(where, name)

    async with ApiClient() as client:
        await applied(client, job_set(*(f"job-{number:04}" for number in range(400))))

    assert len(threads) == 10
    assert not [name for name, used in threads.items() if threading.get_ident() in used]


async def test_the_response_of_a_plan_is_the_json_of_its_model() -> None:
    now = datetime(2026, 11, 28, 9, tzinfo=UTC)
    fields = [FieldChange("schedule.every", "30s", None)]
    added, changed = [JobDifference("ä"), JobDifference("b", [], [], [now])], [JobDifference("c", fields, [now], [now])]
    found = SetReview({"b": "denied"}, [Problem("check.url", "secret x: is missing")], [Problem("", "w")])
    planned = SetPlan("1" * 32, "shop", added, changed, [], 3, {"d": "is used"}, found)

    expected = view_plan(planned).model_dump_json()

    assert serialize_plan(planned).decode() == expected
    assert (planned.added, planned.changed) == ([], [])
