"""The form of the rows as numbers. Pure; used by the stores and by scheduler.features.backup.

A change of the form is an expansion or a contraction (docs/decisions/0053-expand-then-contract.md). An expansion adds
what older programs ignore: they read and write the store as before. A contraction removes what they need, and comes a
release later at the earliest.
"""

from __future__ import annotations

ROW_SCHEMA = 3
"""The form that this program writes: the number of the migrations of the SQLite store."""
READER_SCHEMA = 2
"""The oldest form whose programs can use what this program writes. Only a contraction increases it."""
