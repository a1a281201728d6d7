"""The stored deployment markers, on every store."""

from __future__ import annotations

import pytest

from scheduler.stores import markers as module
from scheduler.stores.markers import DeploymentMarker, DeploymentMarkers, create_marker_id
from scheduler.stores.port import Store
from scheduler.stores.rows import InvalidContinuation
from tests.scheduler.stores.samples import at

DAY = 86400.0


def marker(seconds: float, text: str = "", **more: tuple[tuple[str, str], ...]) -> DeploymentMarker:
    return DeploymentMarker(create_marker_id(at(seconds)), at(seconds), text or f"{seconds:g}", author="a", **more)


async def put_all(store: Store, *seconds: float) -> DeploymentMarkers:
    markers = DeploymentMarkers(store)
    for each in seconds:
        await markers.put(marker(each))
    return markers


async def test_markers_of_a_time_are_listed_newest_first_page_by_page(store: Store) -> None:
    markers = await put_all(store, 30, 10, 40.5, 20, 0)
    first = await markers.list_page(at(10), at(40), limit=2)
    assert [each.text for each in first] == ["30", "20"]
    second = await markers.list_page(at(10), at(40), limit=2, after=first[-1].id)
    assert [each.text for each in second] == ["10"]
    assert [each.text for each in await markers.list_page(limit=1)] == ["40.5"]


async def test_a_marker_is_read_as_it_was_stored_and_stored_once(store: Store) -> None:
    markers = DeploymentMarkers(store)
    written = marker(1.2345, "ürelease\n2", tags=(("team", "payments"),), limited_to=(("stage", "prod"),))
    await markers.put(written)
    await markers.put(written)
    assert await markers.list_page(limit=10) == [written]


@pytest.mark.parametrize("after", ["x", "1795856400000", "1795856400000-", "1795856400000-ü", "179-5f2c1d9b"])
async def test_what_is_no_position_is_rejected(store: Store, after: str) -> None:
    with pytest.raises(InvalidContinuation):
        await DeploymentMarkers(store).list_page(limit=1, after=after)


async def test_old_markers_are_deleted(store: Store) -> None:
    markers = await put_all(store, -2 * DAY, -DAY - 1, -DAY, 0)
    assert await markers.prune(at(0), DAY) == 2
    assert [each.at for each in await markers.list_page(limit=10)] == [at(0), at(-DAY)]
    assert await markers.prune(at(0), DAY) == 0


async def test_only_the_newest_markers_are_retained(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STORED_MARKERS", 4)
    markers = await put_all(store, *range(7))
    assert await markers.prune(at(6), DAY) == 3
    assert [each.text for each in await markers.list_page(limit=10)] == ["6", "5", "4", "3"]


def test_a_marker_concerns_jobs_with_all_its_tags_and_one_of_its_author() -> None:
    tags = {"team": "payments", "stage": "prod"}
    assert marker(0).concerns({})
    assert marker(0, tags=(("team", "payments"), ("stage", "prod"))).concerns(tags)
    assert not marker(0, tags=(("team", "payments"), ("stage", "test"))).concerns(tags)
    assert marker(0, limited_to=(("team", "search"), ("stage", "prod"))).concerns(tags)
    assert not marker(0, limited_to=(("team", "search"),)).concerns(tags)
