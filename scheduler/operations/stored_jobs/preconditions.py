"""What a caller requires of the job that it changes, so that no change of another caller is lost.

Made by scheduler.api.requests.definition_requests and the commands.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.errors import PreconditionFailed
from scheduler.stores.stored_jobs.tree import StoredEntry


@dataclass(frozen=True, slots=True)
class Precondition:
    """`exists`: whether the job must exist. `etags`: one of these must be current; None: any.

    The etags are quoted, as HTTP writes them.
    """

    exists: bool
    etags: frozenset[str] | None = None

    def check(self, name: str, entry: StoredEntry | None) -> None:
        """Raises PreconditionFailed."""
        current = None if entry is None else format_etag(entry)
        if not self.exists:
            if current is not None:
                raise PreconditionFailed(
                    f"the job {name} exists already: its version is {current}, replace that one", current
                )
        elif current is None:
            raise PreconditionFailed(f"the job {name} is not stored", None)
        elif self.etags is not None and current not in self.etags:
            raise PreconditionFailed(f"the job {name} was changed: its version is {current}, read it again", current)


NEW_JOB = Precondition(exists=False)
ANY_VERSION = Precondition(exists=True)


def format_etag(entry: StoredEntry) -> str:
    """Return the etag of a stored definition, quoted."""
    return f'"{entry.etag}"'
