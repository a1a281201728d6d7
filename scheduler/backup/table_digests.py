"""Digests of the content of tables, by which two stores are compared whatever the order of their rows. Pure; used by
scheduler.backup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from jobs.formats.counts import format_count
from scheduler.stores.port import Row

_BYTES: Final = 32
_MODULUS: Final = 1 << (8 * _BYTES)


@dataclass(slots=True)
class TableDigest:
    """The number of rows, and the sum of their SHA-256 modulo 2^256. Etags do not count: each store has its own."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            # With their lengths, so that two different rows have different texts.
            text = f"{len(row.partition)} {len(row.key)} {row.partition}{row.key}{row.body}"
            self.total += int.from_bytes(sha256(text.encode()).digest(), "big")
            self.rows += 1
        self.total %= _MODULUS

    @property
    def text(self) -> str:
        return self.total.to_bytes(_BYTES, "big").hex()

    @staticmethod
    def from_text(rows: int, text: str) -> TableDigest:
        """Raises ValueError."""
        return TableDigest(rows, int(text, 16))


def find_differences(expected: Mapping[str, TableDigest], found: Mapping[str, TableDigest]) -> list[str]:
    """Return a sentence for each table that differs."""
    nothing = TableDigest()
    sentences = []
    for table in sorted({*expected, *found}):
        before, after = expected.get(table, nothing), found.get(table, nothing)
        if before.rows != after.rows:
            sentences.append(f"{table}: expected {format_count(before.rows, 'row')}, found {after.rows}")
        elif before.total != after.total:
            sentences.append(f"{table}: {format_count(after.rows, 'row')}, some of which differ")
    return sentences
