"""What changed for a job before it failed, as the audit trail records it: for messages and pages of incidents.

Used by scheduler.alerting.message_source and scheduler.queries.alerting.incident_reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from jobs.notifications.templates.titles import format_clock
from jobs.problems import make_printable
from scheduler.identity.principal import PrincipalKind
from scheduler.stores.audit import AuditLog, EntryDamaged, parse_entry

ENTRIES_READ = 500
"""The newest entries of the trail. Older ones are not considered."""
MOST_LISTED = 5
_LONGEST_TEXT = 200

DEFINITION_ACTIONS = frozenset({"job.create", "job.replace", "job.patch", "job.restore", "set.apply", "jobs.reload"})
_ACTIONS = DEFINITION_ACTIONS | {
    "job.pause",
    "job.resume",
    "window.create",
    "window.end",
    "secret.refresh",
    "circuit.reset",
    "marker.create",
}
"""Those that can be the cause of a failure, or mark a deployment. Runs, silences and notes are not."""


@dataclass(frozen=True, slots=True)
class RecentChange:
    """`text`: a clause for people, such as `job checkout was patched by api_key:ci`."""

    at: datetime
    action: str
    text: str

    @property
    def is_definition(self) -> bool:
        return self.action in DEFINITION_ACTIONS

    def describe(self, now: datetime, zone: tzinfo) -> str:
        """Format as `02:58 job checkout was patched by api_key:ci`."""
        return f"{format_clock(self.at, now, zone)} {self.text}"


class RecentChanges:
    """The end of the audit trail is cached until the trail grows."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._head = ""
        self._entries: Sequence[Mapping[str, Any]] = ()

    async def list_between(self, jobs: Set[str], since: datetime, until: datetime) -> list[RecentChange]:
        """Return the newest changes of these jobs within a time, the oldest first. Raises StoreError."""
        found = []
        for fields in await self._read_end():
            at = _read_instant(fields)
            if at is None or not since <= at <= until or not jobs & set(fields.get("jobs", ())):
                continue
            if fields.get("kind") == "change" and fields.get("action") in _ACTIONS:
                found.append(RecentChange(at, fields["action"], _describe(fields)))
        return found[-MOST_LISTED:]

    async def _read_end(self) -> Sequence[Mapping[str, Any]]:
        head = await self._log.read_head()
        if head.hash != self._head:
            rows = await self._log.read_rows(max(head.sequence - ENTRIES_READ + 1, 1), head.sequence)
            entries = []
            for row in rows:
                try:
                    entries.append(parse_entry(row.body).fields)
                except EntryDamaged:
                    continue
            self._head, self._entries = head.hash, entries
        return self._entries


def _read_instant(fields: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(fields["at"])
    except (KeyError, TypeError, ValueError):
        return None


def _describe(fields: Mapping[str, Any]) -> str:
    if fields["action"] == "jobs.reload":
        return "the job files changed the job"
    text = str(fields.get("summary", ""))
    if fields["action"] == "window.create" and isinstance(after := fields.get("after"), Mapping):
        marks = [str(after[key]) for key in ("reason", "change_id") if after.get(key)]
        text += f" ({', '.join(marks)})" if marks else ""
    principal = str(fields.get("principal", ""))
    if principal and not principal.startswith(f"{PrincipalKind.PROGRAM}:"):
        text += f" by {principal}"
    return make_printable(text, _LONGEST_TEXT)
