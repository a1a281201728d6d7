"""The severities of alerts, from the lowest to the highest. Pure.

Four are built in. The section `alerting.severities` of job files adds others, or changes what counts as downtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydantic import Field

from jobs.formats.display_text import DisplayText
from jobs.model_base import FrozenModel

SEVERITY_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"
RANK_STEP = 10
"""Between the built-in severities, so that others fit in between."""


class SeverityDefinition(FrozenModel):
    """A severity of a job file. `rank`: info is 0, degraded 10, down 20, blind 30; required for a new name."""

    rank: int | None = Field(default=None, ge=0, le=1000)
    counts_as_downtime: bool | None = None
    """None: as the built-in one, or false."""
    description: DisplayText = Field(default="", max_length=200)


class AlertSeverity(FrozenModel):
    """A severity in force. `rank`: that of an incident is the highest of its alerts."""

    name: str
    rank: int
    counts_as_downtime: bool = False
    description: str = ""


_BUILT_IN = (
    AlertSeverity(name="info", rank=0),
    AlertSeverity(name="degraded", rank=RANK_STEP),
    AlertSeverity(name="down", rank=2 * RANK_STEP, counts_as_downtime=True),
    AlertSeverity(name="blind", rank=3 * RANK_STEP),
)
BUILT_IN_SEVERITIES: Mapping[str, AlertSeverity] = MappingProxyType({each.name: each for each in _BUILT_IN})


def merge_severities(definitions: Iterable[tuple[str, SeverityDefinition]]) -> Mapping[str, AlertSeverity]:
    """Return the built-in severities and the defined ones by name, the lowest rank first.

    Raises:
        ValueError: a new severity has no rank, or a rank of another one; the message names it.
    """
    merged = dict(BUILT_IN_SEVERITIES)
    for name, definition in definitions:
        base = merged.get(name)
        rank = definition.rank if definition.rank is not None or base is None else base.rank
        if rank is None:
            ranks = ", ".join(f"{each.name} {each.rank}" for each in BUILT_IN_SEVERITIES.values())
            raise ValueError(f"the severity {name} has no rank: set one ({ranks})")
        counts = definition.counts_as_downtime
        if counts is None:
            counts = base is not None and base.counts_as_downtime
        merged[name] = AlertSeverity(
            name=name, rank=rank, counts_as_downtime=counts, description=definition.description
        )
    by_rank: dict[int, str] = {}
    for each in merged.values():
        first = by_rank.setdefault(each.rank, each.name)
        if first != each.name:
            raise ValueError(f"the severities {first} and {each.name} have the same rank {each.rank}: change one")
    return {each.name: each for each in sorted(merged.values(), key=lambda each: each.rank)}
