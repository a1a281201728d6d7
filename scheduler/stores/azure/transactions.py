"""Makes atomic groups in Azure Tables: each is changes of one partition, all or none, and many share one transaction.

The service refuses a transaction as a whole and names one change that it rejects. The group of that change gets the
error, and the others are sent again in two halves: a batch in which nothing can be made costs one request a group, and
a batch with a single refusal costs three.

The client repeats a request whose answer was lost, so a row's own insert may return "exists already", its own replace
"changed". Every write therefore has a mark, and after any error the rows of a group are read again
(azure.errors): if they have the marks, the group was made.

The transactions of a partition are sent two at a time; groups that wait meanwhile share the next transaction. A slow
partition therefore gets fuller requests, not more of them. Groups wait here, without a timeout, instead of at the
service, which would process requests whose callers have given up.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest
from azure.data.tables.aio import TableClient

from scheduler.stores.azure.entities import (
    BATCH_HEADERS,
    TransactionRefusal,
    escape_key,
    format_body,
    format_operation,
    parse_response,
    to_entity,
)
from scheduler.stores.azure.errors import LostAnswers, MarkedRow, http_status, to_store_error
from scheduler.stores.port import (
    MAX_ATOMIC_GROUP,
    Change,
    Delete,
    Etags,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    StoreError,
)

_MAX_PAYLOAD = 1_000_000
"""Characters of the bodies of one transaction; the service accepts 4 MiB, and a character has at most three bytes."""

Entity = Mapping[str, Any]


@dataclass(slots=True)
class _MarkedWrite:
    """A change, its mark, and the row that it writes. `etag` is set once it is made."""

    change: Change
    mark: str
    entity: Entity
    etag: str | None = None

    @property
    def marked_row(self) -> MarkedRow:
        return MarkedRow(self.entity["PartitionKey"], self.entity["RowKey"], self.mark)

    @staticmethod
    def build(change: Change, mark: str) -> _MarkedWrite:
        if isinstance(change, Delete):
            return _MarkedWrite(
                change, mark, {"PartitionKey": escape_key(change.partition), "RowKey": escape_key(change.key)}
            )
        return _MarkedWrite(change, mark, to_entity(change.partition, change.key, change.body, mark))


@dataclass(slots=True)
class AtomicGroup:
    """Changes of different rows of one partition, at most MAX_ATOMIC_GROUP, and why they were not made."""

    writes: Sequence[_MarkedWrite]
    error: StoreError | None = None

    @staticmethod
    def build(changes: Sequence[Change], marks: Iterator[str]) -> AtomicGroup:
        """Raises StoreError if a body cannot be stored."""
        return AtomicGroup([_MarkedWrite.build(change, next(marks)) for change in changes])

    @property
    def partition_id(self) -> tuple[str, str]:
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


def pack_transactions(steps: Iterable[AtomicGroup]) -> Iterator[Sequence[AtomicGroup]]:
    """Steps that may share a transaction."""
    by_place: dict[tuple[str, str], list[AtomicGroup]] = {}
    for step in steps:
        by_place.setdefault(step.partition_id, []).append(step)
    for together in by_place.values():
        pack: list[AtomicGroup] = []
        keys: set[str] = set()
        size = 0
        for step in together:
            full = len(keys) + len(step.writes) > MAX_ATOMIC_GROUP or size + step.size > _MAX_PAYLOAD
            if pack and (full or not keys.isdisjoint(step.keys)):
                yield pack
                pack, keys, size = [], set(), 0
            pack.append(step)
            keys |= step.keys
            size += step.size
        yield pack


class TableTransaction:
    """Makes atomic groups of one table and one partition."""

    def __init__(self, table: str, client: TableClient, recovery: LostAnswers) -> None:
        self._table = table
        self._client = client
        self._recovery = recovery

    async def commit(self, steps: Sequence[AtomicGroup], tries: int = 2) -> None:
        """Set the result of each group. Raises nothing."""
        writes = [write for step in steps for write in step.writes if write.etag is None]
        if not writes:
            return
        try:
            answer = await self._send_batch(writes)
        except AzureError as error:
            if not await self._find_committed(steps):
                # The client repeats requests that did not arrive, but none that may have. Here a repetition does no
                # harm.
                if tries > 1 and http_status(error) is None:
                    await self._recovery.wait_before_resend()
                    await self.commit(steps, tries - 1)
                else:
                    _fail_all(steps, to_store_error(self._table, error))
            return
        if not isinstance(answer, TransactionRefusal):
            for write, etag in zip(writes, answer, strict=True):
                write.etag = etag
        elif answer.status in (404, 409, 412) and answer.index is not None:
            await self._resend_without(writes[answer.index], steps, answer.status)
        elif not await self._find_committed(steps):
            _fail_all(steps, to_store_error(self._table, answer.status))

    async def _send_batch(self, writes: Sequence[_MarkedWrite]) -> Etags | TransactionRefusal:
        url = f"{self._account}/{self._client.table_name}"
        body = format_body([format_operation(write.change, write.entity, url) for write in writes])
        headers = BATCH_HEADERS | {"x-ms-version": self._client.api_version}
        request = HttpRequest("POST", f"{self._account}/$batch", headers=headers, content=body)
        # Streamed, so that the client does not parse it as JSON.
        response = await self._client._client.send_request(request, stream=True)
        content = await response.read()
        return (
            parse_response(content, len(writes))
            if response.status_code == 202
            else TransactionRefusal(response.status_code)
        )

    @property
    def _account(self) -> str:
        return self._client.url.partition("?")[0]

    async def _resend_without(self, refused: _MarkedWrite, steps: Sequence[AtomicGroup], status: int) -> None:
        """Continue after the service has named a change that prevents the others."""
        if isinstance(refused.change, Delete):
            if status == 404 and not refused.change.etag:
                refused.etag = ""  # It does not exist, as requested.
                await self.commit(steps)
                return
            if await self._find_committed(steps):
                return
        elif await self._find_committed(steps, refused):
            return
        step = next(step for step in steps if refused in step.writes)
        step.error = self._refusal_error(refused.change, status)
        others = [other for other in steps if other is not step]
        half = len(others) // 2
        await asyncio.gather(self.commit(others[:half]), self.commit(others[half:]))

    def _refusal_error(self, change: Change, status: int) -> StoreError:
        if isinstance(change, Insert) and status == 409:
            return RowExists(change.table, change.partition, change.key)
        if isinstance(change, Replace | Delete) and status in (404, 412):
            return RowChanged(change.table, change.partition, change.key)
        return to_store_error(self._table, status)

    async def _find_committed(self, steps: Sequence[AtomicGroup], refused: _MarkedWrite | None = None) -> bool:
        """Return whether the groups, sent together, were made by a try whose answer was lost. If so, set their etags.

        `refused`: the write that the service named, which decides for all of them.
        """
        writes = [write for step in steps for write in step.writes if not isinstance(write.change, Delete)]
        if not writes:
            return False
        sought = [write for write in writes if write.etag is None]
        try:
            if refused is not None:
                etags = await self._recovery.find_written(self._client, [refused.marked_row])
                if not etags:
                    return False
                sought = [write for write in sought if write is not refused]
                refused.etag = etags[refused.mark]
            etags = await self._recovery.find_written(self._client, [write.marked_row for write in sought])
        except AzureError as error:
            _fail_all(steps, to_store_error(self._table, error))
            return True
        for write in sought:
            write.etag = etags.get(write.mark)
        return bool(etags) or refused is not None


def _fail_all(steps: Sequence[AtomicGroup], error: StoreError) -> None:
    for step in steps:
        step.error = error


TRANSACTIONS_PER_PARTITION = 2
"""Transactions of a partition in flight: one late answer must not block the partition."""

_PartitionId = tuple[str, str]
"""Table and partition."""
_WaitingGroups = tuple[Sequence[AtomicGroup], asyncio.Future[None]]
"""Groups that may share a transaction, and the future of their caller."""


class TransactionQueues:
    """`commit` makes groups that may share a transaction, and sets the result of each."""

    def __init__(self, commit: Callable[[Sequence[AtomicGroup]], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: defaultdict[_PartitionId, deque[_WaitingGroups]] = defaultdict(deque)
        self._in_flight: Counter[_PartitionId] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, steps: Sequence[AtomicGroup]) -> None:
        """Make groups that may share a transaction. Cancelling the caller does not stop them."""
        place = steps[0].partition_id
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place].append((steps, committed))
        if self._in_flight[place] < TRANSACTIONS_PER_PARTITION:
            self._in_flight[place] += 1
            task = asyncio.get_running_loop().create_task(self._process_partition(place))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await committed

    async def aclose(self) -> None:
        """Wait for the transactions in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _process_partition(self, place: _PartitionId) -> None:
        try:
            while packs := self._next_batch(place):
                await self._commit_together(packs)
        finally:
            self._in_flight[place] -= 1
            if not self._in_flight[place]:
                del self._in_flight[place]
                if not self._waiting[place]:
                    del self._waiting[place]

    async def _commit_together(self, packs: Sequence[_WaitingGroups]) -> None:
        error: BaseException | None = None
        try:
            await self._commit([step for steps, _ in packs for step in steps])
        except BaseException as raised:
            # Whichever error it is, no caller must wait without end.
            error = raised
        for _, committed in packs:
            if committed.done():
                continue  # its caller was cancelled
            if error is None:
                committed.set_result(None)
            else:
                committed.set_exception(error)

    def _next_batch(self, place: _PartitionId) -> Sequence[_WaitingGroups]:
        """Return the first waiting groups that fit into one transaction; none if none wait."""
        waiting = self._waiting[place]
        batch: list[_WaitingGroups] = []
        together: list[AtomicGroup] = []
        while waiting and (not batch or _fit_in_one_transaction([*together, *waiting[0][0]])):
            batch.append(waiting.popleft())
            together += batch[-1][0]
        return batch


def _fit_in_one_transaction(steps: Sequence[AtomicGroup]) -> bool:
    """Return whether they may share a transaction."""
    return len([*pack_transactions(steps)]) == 1
