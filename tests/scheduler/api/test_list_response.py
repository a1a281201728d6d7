"""A long list is serialized in steps, and is the same JSON as its model at once."""

from __future__ import annotations

import asyncio

from scheduler.api.routing import create_list_response
from scheduler.features.jobs.models import DependencyModel
from scheduler.turns import convert_each, release_later
from tests.scheduler.api.api_client import ApiClient


def model(number: int) -> DependencyModel:
    return DependencyModel(job=f"job-{number} grüße", condition="failed", within=None, wait="5m")


async def test_a_list_has_the_json_of_its_model() -> None:
    for number, continuation in ((0, None), (1, 'a"b'), (3, None)):
        response = await create_list_response("jobs", range(number), model, continuation)

        parts = ",".join(model(each).model_dump_json() for each in range(number))
        quoted = "null" if continuation is None else '"a\\"b"'
        assert bytes(response.body).decode() == f'{{"jobs":[{parts}],"continuation":{quoted}}}'
        assert response.media_type == "application/json"


async def test_other_tasks_run_while_a_list_is_converted() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def slow(number: int) -> int:
        return sum(range(20_000)) + number

    counting = asyncio.create_task(count())
    converted = await convert_each(slow, range(100))
    counting.cancel()

    assert converted == [slow(number) for number in range(100)]
    assert turns > 5


async def test_references_are_dropped_in_short_steps() -> None:
    class Slow:
        def __del__(self) -> None:
            sum(range(20_000))

    items = [Slow() for _ in range(100)]
    lengths: list[int] = []
    release_later(items)
    while items:
        await asyncio.sleep(0)
        lengths.append(len(items))

    assert len(set(lengths)) > 5


async def test_the_lists_of_the_api_have_the_fields_of_their_schema() -> None:
    async with ApiClient() as client:
        await client.perform()
        document = (await client.get("/api/openapi.json")).json()
        schemas = document["components"]["schemas"]
        for path, listed, item in (("/api/jobs", "jobs", "JobSummary"), ("/api/runs", "runs", "RunModel")):
            found = (await client.get(path)).json()
            assert set(found) == {listed, "continuation"}
            assert set(found[listed][0]) == set(schemas[item]["properties"])
