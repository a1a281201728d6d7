"""What differs between files and what runs, and who changed it. Called by `drift`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scheduler.cli.delivery.port import RecordedChange, SchedulerReader
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan

MAX_SEARCHED: Final = 200
"""Jobs whose change is searched in the audit trail."""


class DriftKind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    """It is defined in the files, and does not run."""
    EXTRA = "extra"
    """It runs, and is not defined in the files."""


@dataclass(frozen=True, slots=True)
class DriftedField:
    """`in_files`, `running`: None: not set."""

    path: str
    in_files: Any
    running: Any


@dataclass(frozen=True, slots=True)
class DriftedJob:
    """`change`: the latest one of its definition in the audit trail; None without one, as for jobs of files."""

    name: str
    kind: DriftKind
    fields: Sequence[DriftedField] = ()
    change: RecordedChange | None = None


@dataclass(frozen=True, slots=True)
class DriftReport:
    """`owner`: of the set; empty for job files. `conflicts`: jobs of another set or file, by name."""

    owner: str
    jobs: Sequence[DriftedJob]
    same: int
    conflicts: dict[str, str]

    @property
    def is_drifted(self) -> bool:
        return bool(self.jobs or self.conflicts)


async def find_drift(scheduler: SchedulerReader, plan: SetPlan, sections: Sequence[JobDifference] = ()) -> DriftReport:
    """Return what `plan` would repair. `sections`: changed entries of job files that are not jobs.

    Raises as SchedulerReader.
    """
    found = [
        *(DriftedJob(one.name, DriftKind.MISSING) for one in plan.added),
        *(DriftedJob(one.name, DriftKind.EXTRA) for one in plan.removed),
        *map(_turn, plan.changed),
    ]
    found.sort(key=lambda each: each.name)
    jobs = [
        DriftedJob(each.name, each.kind, each.fields, await scheduler.find_change(each.name))
        for each in found[:MAX_SEARCHED]
    ]
    rest = [*found[MAX_SEARCHED:], *map(_turn, sections)]
    return DriftReport(plan.owner, [*jobs, *rest], plan.unchanged, dict(plan.conflicts))


def _turn(one: JobDifference) -> DriftedJob:
    fields = [DriftedField(each.path, each.after, each.before) for each in one.fields]
    return DriftedJob(one.name, DriftKind.CHANGED, fields)
