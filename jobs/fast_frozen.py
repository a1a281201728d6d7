"""Frozen dataclasses that are made by the dozen for each run.

`@value(frozen=True, slots=True)` is `@dataclass(frozen=True, slots=True)`, also to mypy, which is who refuses to change
one. At run time nobody does: a dataclass that does sets each of its own fields by way of `object.__setattr__`, and that
was a twelfth of what a run cost. Where few are made it is not worth it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen, slots, **more):
        """With the hash that a frozen one has."""
        assert frozen, "the others are dataclasses"
        return dataclass(slots=slots, unsafe_hash=True, **more)


__all__ = ["value"]
