"""Deployments are marked and listed, each caller those of its jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduler.features.changes import markers
from scheduler.features.statistics.periods import ANY_TIME
from scheduler.identity.principal import Caller, ChangeSource, Principal, PrincipalKind, Role
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

JOBS = [entry("pay", tags={"team": "payments"}), entry("find", tags={"team": "search"})]
TEAM = Principal(PrincipalKind.API_KEY, "ci", Role.OPERATOR, (("team", "payments"),))


async def listed(desk: ApiClient, **query: Any) -> list[str]:
    response = await desk.get("/api/markers", **query)
    assert response.status_code == 200
    return [each["text"] for each in response.json()["markers"]]


async def test_a_marker_names_the_jobs_that_it_concerns_and_is_listed() -> None:
    async with ApiClient(jobs=JOBS) as desk:
        response = await desk.post_json("/api/markers", {"text": " checkout 4ebecbce ", "tags": {"team": "payments"}})
        assert response.status_code == 201
        created = response.json()
        assert (created["text"], created["jobs"], created["author"]) == (
            "checkout 4ebecbce",
            ["pay"],
            "local:loopback",
        )
        assert (await desk.post_json("/api/markers", {"text": "all"})).json()["jobs"] == ["find", "pay"]
        assert (await desk.post_json("/api/markers", {"text": "none", "tags": {"team": "x"}})).json()["jobs"] == []
        assert sorted(await listed(desk)) == ["all", "checkout 4ebecbce", "none"]
        assert await listed(desk, job="find") == ["all"]
        assert (await desk.get("/api/markers", job="unknown")).status_code == 404


async def test_markers_of_a_time_are_listed_page_by_page() -> None:
    async with ApiClient(jobs=JOBS) as desk:
        now = desk.services.clock.now()
        for hours in range(4):
            at = (now - timedelta(hours=hours)).isoformat()
            await desk.post_json("/api/markers", {"text": f"{hours} h", "at": at})
        first = (await desk.get("/api/markers", limit=2, **{"from": "2h1m"})).json()
        assert [each["text"] for each in first["markers"]] == ["0 h", "1 h"]
        assert await listed(desk, limit=2, continuation=first["continuation"], **{"from": "2h1m"}) == ["2 h"]
        wrong = await desk.get("/api/markers", continuation="x")
        assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"text": "  "}, "text"),
        ({"text": "x" * 201}, "text"),
        ({"text": "a\x1bb"}, "text"),
        ({"text": "a", "at": timedelta(minutes=6)}, "at"),
        ({"text": "a", "at": -timedelta(days=367)}, "at"),
        ({"text": "a", "tags": {"": "x"}}, "tags"),
        ({"text": "a", "tags": {"team": "x\u202ey"}}, "tags"),
        ({"text": "a", "tags": {"te\x07am": "x"}}, "tags"),
    ],
)
async def test_an_unusable_marker_is_rejected(body: dict[str, Any], location: str) -> None:
    async with ApiClient(jobs=JOBS) as desk:
        if isinstance(distance := body.get("at"), timedelta):
            body = {**body, "at": (desk.services.clock.now() + distance).isoformat()}
        response = await desk.post_json("/api/markers", body)
        assert response.status_code in (400, 422)
        assert location in response.json()["errors"][0]["location"]
        assert await listed(desk) == []


async def test_a_caller_that_is_limited_to_tags_marks_and_sees_its_jobs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers, "_BATCH", 1)
    async with ApiClient(jobs=JOBS) as desk:
        for tags in ({}, {"team": "search"}):
            await desk.post_json("/api/markers", {"text": f"of all {tags}", "tags": tags})
        limited = desk.services.for_principal(TEAM)
        caller = Caller(TEAM, ChangeSource.API)
        mine = await limited.operations.markers.create("mine", caller=caller)
        other = await limited.operations.markers.create("search", tags={"team": "search"}, caller=caller)
        assert (mine.jobs, other.jobs) == (["pay"], [])
        page = await limited.markers.list_markers(TEAM, ANY_TIME, limit=10)
        assert sorted(each.text for each in page.markers) == ["mine", "of all {}"]
        assert (
            await listed(desk, job="find") == ["of all {'team': 'search'}", "of all {}"]
            or len(await listed(desk, job="find")) == 2
        )
