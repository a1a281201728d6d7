"""Small stores, backups of them, and a scan of the store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scheduler.features.backup.dumps import create_backup
from scheduler.features.backup.port import NoProgress
from scheduler.stores.port import Row, Store, Upsert
from scheduler.stores.rows import PING_ROW, schema_of_ping
from scheduler.stores.sqlite.store import open_sqlite
from scheduler.stores.sqlite.whole_file import open_snapshot
from tests.scheduler.stores.memory import MemoryData

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ODD_BODIES = (
    '{"text":"Zürich \\u2028 \\ud83d\\ude00 \\n"}',
    "",
    '"\u2028\x7f\\u0000"',
    "0",
    '"\\\\"',
    f'"{"x" * 100_000}"',
)
ROWS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "pauses": [("jobs", "checkout-api", '{"reason":"größer"}')],
    "circuits": [("group:payments/eu", "state", '{"state":"open"}')],
    "history": [("0", f"r~job~{number:04d}", f'{{"is":"succeeded","n":{number}}}') for number in range(2500)],
    "idempotency": [("20261125", f"odd-{number}", body) for number, body in enumerate(ODD_BODIES)],
    "sessions": [("sessions", "a-session", '{"hash":"0f"}')],
}


async def fill(store: Store, rows: Mapping[str, Sequence[tuple[str, str, str]]] = ROWS) -> None:
    for table, some in rows.items():
        await store.apply(*(Upsert(table, *row) for row in some))


async def filled_file(path: Path) -> Path:
    store = await open_sqlite(path)
    await fill(store)
    await store.aclose()
    return path


async def back_up(path: Path, dump: Path) -> Path:
    """Back a SQLite file up."""
    scan = await open_snapshot(path)
    try:
        await create_backup(scan, dump, "sqlite", lambda: NOW, NoProgress())
    finally:
        await scan.aclose()
    return dump


async def rows_of(path: Path) -> dict[str, list[tuple[str, str, str]]]:
    """All rows of a SQLite file by table."""
    scan = await open_snapshot(path)
    try:
        return {
            table: [(row.partition, row.key, row.body) async for page in scan.read_table(table) for row in page]
            for table in await scan.count_rows()
        }
    finally:
        await scan.aclose()


class MemoryScan:
    """Implements scheduler.stores.port.StoreScan, without a snapshot as Azure Tables."""

    is_snapshot = False

    def __init__(self, data: MemoryData) -> None:
        self.data = data

    async def read_schema(self) -> int:
        return schema_of_ping(await self.get_row(*PING_ROW))

    async def count_rows(self) -> Mapping[str, int | None]:
        return dict.fromkeys(Counter(table for table, _, _ in self.data.rows))

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        return self.data.rows.get((table, partition, key))

    async def read_table(self, table: str) -> AsyncIterator[Sequence[Row]]:
        """Row by row, each as it is when it is read."""
        after = ("", "")
        while places := sorted(place for place in self.data.rows if place[0] == table and place[1:] > after):
            after = places[0][1:]
            yield [self.data.rows[places[0]]]

    async def find_damage(self) -> str:
        return ""

    async def aclose(self) -> None:
        pass
