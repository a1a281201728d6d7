"""The options of `gate`. What is wrong with them ends the command with 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from scheduler.queries.selection import JobSelection

MAX_DURATION: Final = 3600.0
"""A total outage among so many runs is certain after a few minutes."""
MAX_BEFORE: Final = 7 * 24 * 3600.0
MIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class GateOptions:
    """`duration`, `before`: seconds. `slowdown` None: times are not compared. `marker` None: nothing is marked."""

    selection: JobSelection
    duration: float
    before: float
    marker: str | None
    deployed_at: datetime | None
    slowdown: float | None

    @property
    def marker_tags(self) -> dict[str, str]:
        """The tags of the marker: it concerns the jobs that have all of them."""
        return {tag.key: tag.value for tag in self.selection.tags if tag.value is not None}

    @classmethod
    def parse(
        cls,
        tags: Sequence[str] | None,
        names: Sequence[str] | None,
        every: bool,
        duration: str,
        before: str,
        marker: str | None,
        deployed_at: str | None,
        slowdown: float | None,
    ) -> GateOptions:
        """Return the options."""
        from scheduler.cli.options import parse_instant_option
        from scheduler.cli.selection.options import parse_selection_options

        selection = parse_selection_options(
            names=names, tags=[normalize_tag(tag) for tag in tags or ()], name_option="--name"
        )
        if selection.is_empty and not every:
            fail("give --tag or --name; --all selects all jobs")
        if every and not selection.is_empty:
            fail(f"--all and a filter exclude each other: {selection}")
        return cls(
            selection,
            _parse_seconds("--for", duration, MAX_DURATION),
            _parse_seconds("--before", before, MAX_BEFORE),
            None if marker is None else _check_marker(marker),
            parse_instant_option("--deployed-at", deployed_at),
            slowdown,
        )


def normalize_tag(tag: str) -> str:
    """Return `team=payments` for `team:payments`, the form of tags elsewhere."""
    return tag if "=" in tag else tag.replace(":", "=", 1)


def _parse_seconds(option: str, text: str, longest: float) -> float:
    from jobs.formats.durations import format_duration
    from scheduler.cli.options import parse_duration_option

    seconds = parse_duration_option(option, text) or 0.0
    if not MIN_SECONDS <= seconds <= longest:
        fail(f"{option}: expected 1s to {format_duration(longest)}, got {text!r}")
    return seconds


def _check_marker(text: str) -> str:
    from scheduler.features.changes.markers import MAX_MARKER_TEXT

    stripped = text.strip()
    if not stripped or len(stripped) > MAX_MARKER_TEXT or not stripped.isprintable():
        fail(f"--marker: expected a text of 1 to {MAX_MARKER_TEXT} characters on one line, such as a commit")
    return stripped
