"""Makes steps in Azure Tables: each is changes of one partition, all or none, and many travel as one transaction.

Used by azure_store. The service refuses a transaction as a whole and names one change that it dislikes. That change's
step is judged, the others are sent again in two halves, so that a batch in which nothing can be made costs a request a
step, and one with a single refusal costs three.

The client repeats a request whose answer was lost, so our own insert may come back as "exists already", our own replace
as "changed". Every write therefore carries a mark of its own, and whatever error meets a step, its rows are read again
(azure_recovery): if they bear the marks, the step was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest
from azure.data.tables.aio import TableClient

from scheduler.stores import azure_batch
from scheduler.stores.azure_batch import Refusal
from scheduler.stores.azure_entities import escape, to_entity
from scheduler.stores.azure_errors import status_of, unavailable
from scheduler.stores.azure_recovery import Recovery, Sought
from scheduler.stores.port import (
    LARGEST_STEP,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    StoreError,
)

_LARGEST_PAYLOAD = 1_000_000
"""Characters of the bodies of one transaction; the service takes 4 MiB, and a character has at most three bytes."""

Entity = Mapping[str, Any]


@dataclass(slots=True)
class _Write:
    """A change, its mark, and the row it makes. `etag` once it is made."""

    change: Change
    mark: str
    entity: Entity
    etag: str | None = None

    @property
    def sought(self) -> Sought:
        return Sought(self.entity["PartitionKey"], self.entity["RowKey"], self.mark)

    @staticmethod
    def of(change: Change, mark: str) -> _Write:
        if isinstance(change, Delete):
            return _Write(change, mark, {"PartitionKey": escape(change.partition), "RowKey": escape(change.key)})
        return _Write(change, mark, to_entity(change.partition, change.key, change.body, mark))


@dataclass(slots=True)
class Step:
    """Changes of different rows of one partition, at most LARGEST_STEP, and why they were not made."""

    writes: Sequence[_Write]
    error: StoreError | None = None

    @staticmethod
    def of(changes: Sequence[Change], marks: Iterator[str]) -> Step:
        """Raises StoreError if a body cannot be stored."""
        return Step([_Write.of(change, next(marks)) for change in changes])

    @property
    def place(self) -> tuple[str, str]:
        change = self.writes[0].change
        return change.table, change.partition

    @property
    def keys(self) -> set[str]:
        return {write.change.key for write in self.writes}

    @property
    def size(self) -> int:
        return sum(len(write.change.body) for write in self.writes if not isinstance(write.change, Delete))

    @property
    def answer(self) -> Etags | StoreError:
        """Once it was made or refused."""
        return self.error or tuple([write.etag or "" for write in self.writes])


def packed(steps: Iterable[Step]) -> Iterator[Sequence[Step]]:
    """Steps that may share a transaction."""
    by_place: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        by_place.setdefault(step.place, []).append(step)
    for together in by_place.values():
        pack: list[Step] = []
        keys: set[str] = set()
        size = 0
        for step in together:
            full = len(keys) + len(step.writes) > LARGEST_STEP or size + step.size > _LARGEST_PAYLOAD
            if pack and (full or not keys.isdisjoint(step.keys)):
                yield pack
                pack, keys, size = [], set(), 0
            pack.append(step)
            keys |= step.keys
            size += step.size
        yield pack


class Transaction:
    """Makes steps of one table and one partition."""

    def __init__(self, table: str, client: TableClient, recovery: Recovery) -> None:
        self._table = table
        self._client = client
        self._recovery = recovery

    async def make(self, steps: Sequence[Step], tries: int = 2) -> None:
        """Fills in what became of each step; raises nothing."""
        writes = [write for step in steps for write in step.writes if write.etag is None]
        if not writes:
            return
        try:
            answer = await self._send(writes)
        except AzureError as error:
            if not await self._were_made(steps):
                # The client repeats what did not get through, but not what may have. Here no second time does harm.
                if tries > 1 and status_of(error) is None:
                    await self._recovery.pause()
                    await self.make(steps, tries - 1)
                else:
                    _fail(steps, unavailable(self._table, error))
            return
        if not isinstance(answer, Refusal):
            for write, etag in zip(writes, answer, strict=True):
                write.etag = etag
        elif answer.status in (404, 409, 412) and answer.index is not None:
            await self._without(writes[answer.index], steps, answer.status)
        elif not await self._were_made(steps):
            _fail(steps, unavailable(self._table, answer.status))

    async def _send(self, writes: Sequence[_Write]) -> Etags | Refusal:
        url = f"{self._account}/{self._client.table_name}"
        body = azure_batch.body([azure_batch.operation(write.change, write.entity, url) for write in writes])
        headers = azure_batch.HEADERS | {"x-ms-version": self._client.api_version}
        request = HttpRequest("POST", f"{self._account}/$batch", headers=headers, content=body)
        # Streamed, so that the client does not try to read it as JSON.
        response = await self._client._client.send_request(request, stream=True)
        content = await response.read()
        return azure_batch.read(content, len(writes)) if response.status_code == 202 else Refusal(response.status_code)

    @property
    def _account(self) -> str:
        return self._client.url.partition("?")[0]

    async def _without(self, refused: _Write, steps: Sequence[Step], status: int) -> None:
        """Go on after the service has named a change that keeps the others from being made."""
        if isinstance(refused.change, Delete) and status == 404:
            refused.etag = ""  # There is none: nothing is to do.
            await self.make(steps)
            return
        if await self._were_made(steps, refused):
            return
        step = next(step for step in steps if refused in step.writes)
        step.error = self._refusal(refused.change, status)
        others = [other for other in steps if other is not step]
        half = len(others) // 2
        await asyncio.gather(self.make(others[:half]), self.make(others[half:]))

    def _refusal(self, change: Change, status: int) -> StoreError:
        if isinstance(change, Insert) and status == 409:
            return RowExists(change.table, change.partition, change.key)
        if isinstance(change, Replace) and status in (404, 412):
            return RowChanged(change.table, change.partition, change.key)
        return unavailable(self._table, status)

    async def _were_made(self, steps: Sequence[Step], refused: _Write | None = None) -> bool:
        """Whether the steps, sent together, were made by a try whose answer was lost. If so, notes their etags.

        `refused`: the write that the service named, which tells for all of them.
        """
        writes = [write for step in steps for write in step.writes if not isinstance(write.change, Delete)]
        if not writes:
            return False
        sought = [write for write in writes if write.etag is None]
        try:
            if refused is not None:
                found = await self._recovery.find(self._client, [refused.sought])
                if not found:
                    return False
                sought = [write for write in sought if write is not refused]
                refused.etag = found[refused.mark]
            found = await self._recovery.find(self._client, [write.sought for write in sought])
        except AzureError as error:
            _fail(steps, unavailable(self._table, error))
            return True
        for write in sought:
            write.etag = found.get(write.mark)
        return bool(found) or refused is not None


def _fail(steps: Sequence[Step], error: StoreError) -> None:
    for step in steps:
        step.error = error
