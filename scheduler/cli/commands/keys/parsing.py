"""Parses the options of `keys create`. Called by scheduler.cli.commands.keys.group."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from scheduler.operations.api_keys import NewKey


def parse_new_key(
    name: str, role: str, tags: Sequence[str], expires: str | None, addresses: Sequence[str]
) -> tuple[float | None, Callable[[datetime, float | None], NewKey]]:
    """Return the validity in seconds, and a function that makes the key of the current instant and this validity."""
    from jobs.problems import Problem, describe_wrong_choice
    from scheduler.cli.options import parse_duration_option
    from scheduler.identity.principal import Role, parse_tag_limits
    from scheduler.operations.api_keys import NewKey

    if role not in tuple(Role):
        message, hint = describe_wrong_choice(role, tuple(Role))
        fail(str(Problem("--role", message, hint)))
    try:
        limits = parse_tag_limits(tags)
    except ValueError as error:
        fail(f"--tag: {error}")
    seconds = parse_duration_option("--expires", expires)

    def make(now: datetime, validity: float | None) -> NewKey:
        return NewKey(name, Role(role), limits, _end_after(now, validity), tuple(addresses))

    return seconds, make


def _end_after(now: datetime, seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--expires: the end would be after the year 9999")
