"""Groups subjects that selectors do not distinguish, so that 10,000 jobs are compared with few. Pure.

Used by jobs.definition.alerting.gaps.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping
from fnmatch import translate
from typing import TYPE_CHECKING, Protocol

from jobs.incidents.suppression.windows import AlertSubject

if TYPE_CHECKING:
    from jobs.definition.job import JobDefinition


class Selector(Protocol):
    """What jobs.alerting.selectors and jobs.incidents.suppression.windows share."""

    @property
    def jobs(self) -> Collection[str]: ...

    @property
    def tags(self) -> Mapping[str, object]: ...


def subject_of_job(job: JobDefinition) -> AlertSubject:
    return AlertSubject(job.name, str(job.check.kind), "", job.tags)


class SubjectClasses:
    """`key_of` returns equal keys for subjects that each of the selectors selects alike."""

    def __init__(self, selectors: Iterable[Selector]) -> None:
        found = list(selectors)
        names = {name for each in found for name in each.jobs}
        patterns = sorted(name for name in names if "*" in name or "?" in name)
        self._names = names.difference(patterns)
        self._pattern = re.compile("|".join(map(translate, patterns))) if patterns else None
        self._tags = tuple(sorted({key for each in found for key in each.tags}))

    def key_of(self, subject: AlertSubject) -> Hashable:
        tags = subject.tags
        return (
            subject.name if self._is_named(subject.name) else "",
            subject.kind,
            subject.severity,
            tuple([tags.get(key) for key in self._tags]),
        )

    def one_of_each(self, subjects: Iterable[AlertSubject]) -> list[AlertSubject]:
        """Return the first subject of each class."""
        found: dict[Hashable, AlertSubject] = {}
        for subject in subjects:
            found.setdefault(self.key_of(subject), subject)
        return list(found.values())

    def _is_named(self, name: str) -> bool:
        return name in self._names or (self._pattern is not None and self._pattern.match(name) is not None)
