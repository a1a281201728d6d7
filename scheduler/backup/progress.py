"""What reports the progress of a backup. Used by scheduler.backup, implemented by scheduler.cli.commands.backup."""

from __future__ import annotations

from typing import Protocol


class RowProgress(Protocol):
    """Gets the rows of one phase after the other."""

    def begin(self, phase: str, total: int | None) -> None:
        """Begin a phase such as `writing`. `total` None: its number of rows is not known."""
        ...

    def advance(self, rows: int) -> None:
        """Add rows to those of the phase."""
        ...


class NoProgress:
    """Shows nothing."""

    def begin(self, phase: str, total: int | None) -> None:
        pass

    def advance(self, rows: int) -> None:
        pass
