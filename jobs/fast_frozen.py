"""Frozen dataclasses for values of which each run creates dozens.

`@fast_frozen(frozen=True, slots=True)` is `@dataclass(frozen=True, slots=True)` to mypy, which rejects assignments. At
run time the fields are assignable: a frozen dataclass sets each field through `object.__setattr__`.

perf: `planner`, 20 % of a tick (10,000 tickets); `run-cost`, 2 % of a run (33 objects with 153 fields).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as fast_frozen
else:
    from dataclasses import dataclass

    def fast_frozen(*, frozen, slots, **more):
        """Return a dataclass with the hash of a frozen one."""
        assert frozen, "use dataclass for mutable values"
        return dataclass(slots=slots, unsafe_hash=True, **more)


__all__ = ["fast_frozen"]
