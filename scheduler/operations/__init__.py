"""Every change that a user can request, one module a subject. Used by the API and the commands.

Each change is recorded in the audit log. scheduler.app creates the operations. This package exports nothing else, so
that a command imports only the operation that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
