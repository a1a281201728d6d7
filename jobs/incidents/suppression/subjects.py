"""What an alert is about, and which of these a window, a silence or a route selects. Pure.

Used by jobs.incidents.suppression and jobs.incidents.routing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from fnmatch import fnmatchcase

from pydantic import Field

from jobs.alerting.selectors import DeliberateSelector, SelectedTexts, SelectorBase, matches_tag_pattern
from jobs.fast_frozen import fast_frozen
from jobs.problems import make_printable

_MAX_LISTED = 3
"""Names, tags or values of one kind in a scope."""
_MAX_SCOPE = 120
"""Characters of a scope."""


@fast_frozen(frozen=True, slots=True)
class AlertSubject:
    """`name`: of the job, group or objective. `kind`: of its check, or `group`, `objective` or `scheduler`.

    `severity`: of the alert, or the highest of an incident; empty where none is known, such as for a job itself.
    """

    name: str
    kind: str = ""
    severity: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class SubjectSelector(SelectorBase):
    """Selects subjects of alerts: by severity, too. `jobs`: names of jobs, groups and objectives. Empty: everything."""

    OTHER_KINDS = ("group", "objective", "scheduler")

    severities: SelectedTexts = Field(
        default=(), description="the severity of the alert, or the highest of an incident"
    )

    @property
    def is_empty(self) -> bool:
        return super().is_empty and not self.severities

    @property
    def scope(self) -> str:
        """Return what is selected in few words: `checkout`, `team=payments`, `severity down`."""
        parts = [_list_some(self.jobs)] if self.jobs else []
        parts += [f"{key}={_list_some(values)}" for key, values in list(self.tags.items())[:_MAX_LISTED]]
        parts += [f"kind {_list_some(self.kinds)}"] if self.kinds else []
        parts += [f"severity {_list_some(self.severities)}"] if self.severities else []
        return make_printable(", ".join(parts) or "everything", _MAX_SCOPE)

    def matches(self, subject: AlertSubject) -> bool:
        return (not self.severities or subject.severity in self.severities) and self.selects(
            subject.name, subject.tags, subject.kind
        )

    def matches_any_severity_of(self, subject: AlertSubject) -> bool:
        """Return whether an alert of the subject could match, whatever its severity."""
        return self.selects(subject.name, subject.tags, subject.kind)

    def find_mismatch(self, subject: AlertSubject) -> str:
        """Return a clause such as `the tag team is web, not payments`; empty if the subject matches."""
        return (
            self._name_mismatch(subject)
            or self._tag_mismatch(subject)
            or self._kind_mismatch(subject)
            or self._severity_mismatch(subject)
        )

    def _name_mismatch(self, subject: AlertSubject) -> str:
        if not self.jobs or any(fnmatchcase(subject.name, pattern) for pattern in self.jobs):
            return ""
        return f"the name is {subject.name}, not {_join(self.jobs)}"

    def _tag_mismatch(self, subject: AlertSubject) -> str:
        for key, values in self.tags.items():
            found = subject.tags.get(key)
            if found is None:
                return f"there is no tag {key}"
            if found not in values and not matches_tag_pattern(found, values):
                return f"the tag {key} is {found}, not {_join(values)}"
        return ""

    def _kind_mismatch(self, subject: AlertSubject) -> str:
        if not self.kinds or subject.kind in self.kinds:
            return ""
        return f"the kind is {subject.kind or 'unknown'}, not {_join(self.kinds)}"

    def _severity_mismatch(self, subject: AlertSubject) -> str:
        if not self.severities or subject.severity in self.severities:
            return ""
        return f"the severity is {subject.severity or 'unknown'}, not {_join(self.severities)}"


class ExplicitSelector(DeliberateSelector, SubjectSelector):
    """A selector of subjects for which selecting everything is deliberate: `all: true`."""


def _list_some(values: tuple[str, ...]) -> str:
    more = f" or {len(values) - _MAX_LISTED} more" if len(values) > _MAX_LISTED else ""
    return " or ".join(values[:_MAX_LISTED]) + more


def _join(values: tuple[str, ...]) -> str:
    return " or ".join(values)
