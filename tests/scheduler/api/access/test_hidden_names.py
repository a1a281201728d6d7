"""A caller that is limited to tags learns no name of another job from positions, chains, letters, versions or audit."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scheduler.features.changes.queries
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.limited import LimitedCatalog, hide_position
from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

OURS, THEIRS = {"team": "payments"}, {"team": "shop"}
LETTER = "20260301T120000.000Z.000000000001"
NAMES = ["a-theirs", "b-ours", "c-theirs", "d-theirs", "e-ours", "f-theirs"]


def tags_of(name: str) -> dict[str, str]:
    return OURS if "ours" in name else THEIRS


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    """Each job has run at the same three instants; all are down."""
    jobs = [entry(name, tags=tags_of(name), retry={"attempts": 1}) for name in NAMES]
    async with ApiClient(REFUSED, jobs=jobs, authentication=Authentication(Fixed(PAYMENTS))) as found:
        for seconds in (-0.2, -0.1, 0):
            for name in NAMES:
                await found.perform(name, seconds)
        yield found


async def read_pages(client: ApiClient, path: str, key: str, limit: int) -> tuple[list[Any], list[str]]:
    """Return the items, and the continuations as text."""
    items, texts, query = list[Any](), list[str](), dict[str, str | int]()
    while True:
        page = (await client.get(path, limit=limit, **query)).json()
        items += page[key]
        if page["continuation"] is None:
            return items, texts
        query = {"continuation": page["continuation"]}
        texts.append(page["continuation"])
        assert len(texts) < 100


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_continuations_of_runs_name_no_job_of_others_and_skip_no_own_run(client: ApiClient, limit: int) -> None:
    runs, continuations = await read_pages(client, "/api/runs", "runs", limit)

    decoded = [urlsafe_b64decode(text + "==").decode() for text in continuations]
    assert sorted(run["job"] for run in runs) == ["b-ours"] * 3 + ["e-ours"] * 3
    assert len({run["id"] for run in runs}) == 6
    assert decoded
    assert "theirs" not in "".join(decoded)


@pytest.mark.parametrize("limit", [1, 5])
async def test_continuations_of_changes_name_no_job_of_others(
    client: ApiClient, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler.features.changes.queries, "_BATCH", 1)
    monkeypatch.setattr(scheduler.features.changes.queries, "MAX_CHANGES_SCANNED", 1)

    changes, continuations = await read_pages(client, "/api/changes", "changes", limit)

    assert {change["job"] for change in changes} == {"b-ours", "e-ours"}
    assert "theirs" not in "".join(continuations)


async def test_a_run_does_not_show_the_run_of_another_job_that_started_its_chain(client: ApiClient) -> None:
    run = replace(client.shop.ticket(-0.3, "b-ours"), correlation_id="a-theirs@20260301T120000.000Z")
    await client.shop.worker.execute(run)
    await client.shop.dead_letters.add(DeadLetter(LETTER, "the worker ended", client.shop.clock.now(), run))

    one = await client.get(f"/api/runs/{run.id}")
    assert one.json()["correlation_id"] == run.id
    paths = ["/api/runs", "/api/exports/runs", f"/api/dashboard/runs/{run.id}", "/api/jobs", "/api/jobs/b-ours"]
    paths += ["/api/dead-letters", f"/api/dead-letters/{LETTER}", "/api/exports/runs?format=csv"]
    for path in paths:
        assert "theirs" not in (await client.get(path)).text, path
    assert "theirs" not in (await client.post(f"/api/dead-letters/{LETTER}/replay")).text


@pytest.mark.parametrize(("tags", "is_shown"), [(OURS, True), (THEIRS, False)])
async def test_a_dead_letter_shows_its_definition_if_the_job_had_the_tag_then(
    client: ApiClient, tags: dict[str, str], is_shown: bool
) -> None:
    job = entry("b-ours", tags=tags, description="a secret project").job
    ticket = client.shop.ticket(0, "b-ours")
    letter = DeadLetter.from_ticket(ticket, "the worker ended", datetime(2026, 3, 1, tzinfo=UTC), job=job)
    await client.shop.dead_letters.add(letter)

    shown = await client.get(f"/api/dead-letters/{letter.id}")

    assert shown.status_code == 200
    assert ("a secret project" in shown.text) is is_shown


NAME = st.text("-.09AZ_az", min_size=1, max_size=4).map(lambda end: f"n{end}")


@given(visible=st.sets(NAME, max_size=5), hidden=NAME)
def test_a_hidden_position_stays_between_the_same_visible_jobs(visible: set[str], hidden: str) -> None:
    jobs = [entry(name, tags=OURS) for name in visible] + [entry(hidden, tags=THEIRS)] * (hidden not in visible)
    catalog = LimitedCatalog(Catalog(jobs).snapshot, PAYMENTS)

    moved = hide_position(f"123@{hidden}", catalog)

    assert moved >= f"123@{hidden}"
    assert [name for name in visible if f"123@{name}" > moved] == [name for name in visible if name > hidden]
    assert (moved == f"123@{hidden}") == (hidden in visible)
