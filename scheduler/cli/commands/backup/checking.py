"""What `store check` reports. Called by scheduler.cli.commands.backup.store_group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.stores.port import StoreScan


@dataclass(frozen=True, slots=True)
class StoreReport:
    """`rows` by table, None where only reading all of them would tell. `problem`: "" if nothing is wrong."""

    rows: Mapping[str, int | None]
    schema_text: str
    problem: str


async def report_store(scan: StoreScan) -> StoreReport:
    """Raises StoreError."""
    from scheduler.stores.rows import READER_SCHEMA, ROW_SCHEMA, find_unfinished_restore

    schema = await scan.read_schema()
    text = f"schema {schema}"
    if schema < ROW_SCHEMA:
        text += f", this program writes schema {ROW_SCHEMA}: the next start or `store upgrade` adds what is new"
    text += f"; programs that know schema {READER_SCHEMA} can use it"
    unfinished = await find_unfinished_restore(scan)
    damage = await scan.find_damage()
    problem = f"the file is damaged: {damage}" if damage else "" if unfinished is None else str(unfinished)
    return StoreReport(await scan.count_rows(), text, problem)
