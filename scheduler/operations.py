"""Every change that a user can request, for the API and the commands, and the checks of arguments that several have.

Each change is recorded in the audit log. The services of the features make the changes, and scheduler.app builds them;
their types are imported for annotations alone, so that a command imports only what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.formats import format_instant
from jobs.model_base import refuse_control_characters
from scheduler.errors import InvalidArgument
from scheduler.model_base import MAX_REASON_LENGTH

if TYPE_CHECKING:
    from scheduler.features.access.service import ApiKeyManager, SessionManager
    from scheduler.features.changes.markers import DeploymentMarking
    from scheduler.features.channels.service import ChannelTester, UndeliveredManager
    from scheduler.features.circuits.service import CircuitControl
    from scheduler.features.dead_letters.service import DeadLetterReplayer
    from scheduler.features.heartbeats.service import PingReceiver
    from scheduler.features.incidents.service import IncidentManager
    from scheduler.features.jobs.service import Backfiller, DefinitionTester, JobPauser
    from scheduler.features.runs.service import RunCanceller, RunStarter
    from scheduler.features.secrets.service import SecretRefresher
    from scheduler.features.stored_jobs.service import StoredJobEditor
    from scheduler.features.stored_jobs.sets import JobSetApplier
    from scheduler.features.suppressions.service import SilenceManager, WindowManager


@dataclass(frozen=True, slots=True)
class Operations:
    """The services by which people and programs change something, one a subject."""

    runs: RunStarter
    pauses: JobPauser
    cancellations: RunCanceller
    dead_letters: DeadLetterReplayer
    backfills: Backfiller
    circuits: CircuitControl
    secrets: SecretRefresher
    definition_tests: DefinitionTester
    pings: PingReceiver
    api_keys: ApiKeyManager
    sessions: SessionManager
    stored_jobs: StoredJobEditor
    job_sets: JobSetApplier
    incidents: IncidentManager
    silences: SilenceManager
    windows: WindowManager
    undelivered: UndeliveredManager
    channel_tests: ChannelTester
    markers: DeploymentMarking


def check_reason(reason: str) -> None:
    """Raise InvalidArgument if the reason of a change is too long, or has a control or direction character."""
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidArgument("reason", f"{len(reason)} characters, but at most {MAX_REASON_LENGTH} are allowed")
    try:
        refuse_control_characters(reason)
    except ValueError as error:
        raise InvalidArgument("reason", str(error)) from None


def check_end(until: datetime | None, now: datetime) -> None:
    """Raise InvalidArgument if the end of a change has passed."""
    if until is not None and until <= now:
        raise InvalidArgument("until", f"{format_instant(until)} is in the past: it is {format_instant(now)}")


def find_end(field: str, end: datetime | None, seconds: float | None, start: datetime) -> datetime:
    """Return the end, given as an instant in the argument `field`, or as the seconds after `start` in `for`.

    Raises InvalidArgument: neither or both are given, or the end cannot be represented.
    """
    if (end is None) == (seconds is None):
        given = "neither is given" if end is None else "both are given"
        raise InvalidArgument(field, f"one of {field} and for is required, but {given}")
    if end is not None:
        return end
    try:
        return start + timedelta(seconds=seconds or 0)
    except OverflowError:
        raise InvalidArgument("for", "the end would be after the year 9999: write a shorter time") from None
