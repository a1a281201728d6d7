"""How many transactions look for their rows at a time, on virtual time; what they find is in test_azure_costs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient

from scheduler.stores.azure.errors import (
    FAST_FAILURE,
    SEARCH_READS_AT_ONCE,
    SEARCH_RETRY_DELAYS,
    SEARCH_SLOT_TIMEOUT,
    SEARCHES_AT_ONCE,
    LostAnswers,
    MarkedRow,
)
from tests.jobs.running.virtual_time import virtual_time


class SlowTable:
    """Takes so many seconds for a row, and bears the mark "m". A query finds nothing and does not come to its end."""

    def __init__(self, seconds: float, failures: int = 0) -> None:
        """`failures`: reads that fail after that time, before others succeed."""
        self._seconds = seconds
        self.failures = failures
        self.reading = self.most = 0

    async def get_entity(self, partition: str, key: str, **_: Any) -> TableEntity:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await asyncio.sleep(self._seconds)
        self.reading -= 1
        if self.failures:
            self.failures -= 1
            raise ServiceResponseError("the answer was cut")
        entity = TableEntity(RowKey=key, Mark="m")
        entity._metadata = {"etag": "e"}  # type: ignore[typeddict-item]  # as the client fills it in
        return entity


def rows(number: int) -> list[MarkedRow]:
    return [MarkedRow("p", f"k{place}", "m") for place in range(number)]


@virtual_time
async def test_few_transactions_of_a_process_search_for_their_rows_at_a_time() -> None:
    table, recovery = SlowTable(1.0), LostAnswers()

    found = await asyncio.gather(*(recovery.find_written(cast(TableClient, table), rows(1)) for _ in range(20)))

    assert found == [{"m": "e"}] * 20
    assert table.most == SEARCHES_AT_ONCE


@virtual_time
async def test_one_that_waits_for_its_turn_for_long_is_answered_that_nothing_is_known() -> None:
    table, recovery = SlowTable(SEARCH_SLOT_TIMEOUT + 1), LostAnswers()
    client = cast(TableClient, table)

    answers = await asyncio.gather(
        *(recovery.find_written(client, rows(1)) for _ in range(SEARCHES_AT_ONCE + 1)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [dict] * SEARCHES_AT_ONCE + [ServiceResponseError]


@virtual_time
async def test_rows_that_have_to_be_read_by_themselves_are_read_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, recovery = SlowTable(1.0), LostAnswers()

    async def found_nothing(client: TableClient, rows: list[MarkedRow]) -> tuple[dict[str, str], bool]:
        return {}, False

    monkeypatch.setattr(recovery, "_query_rows", found_nothing)

    await recovery.find_written(cast(TableClient, table), rows(30))

    assert table.most == SEARCH_READS_AT_ONCE


@virtual_time
async def test_a_service_that_loses_answers_is_resolved_again() -> None:
    table = SlowTable(0.1, failures=len(SEARCH_RETRY_DELAYS))

    assert await LostAnswers().find_written(cast(TableClient, table), rows(1)) == {"m": "e"}


@virtual_time
async def test_a_service_that_stands_still_gets_no_more_look_ups() -> None:
    table = SlowTable(FAST_FAILURE + 1, failures=2)

    with pytest.raises(ServiceResponseError):
        await LostAnswers().find_written(cast(TableClient, table), rows(1))

    assert table.failures == 1
