"""Every change that a user can request, one module a subject. Used by the API and the commands.

Each change is recorded in the audit log. scheduler.app creates the operations. This package exports nothing else, so
that a command imports only the operation that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.features.channels.service import ChannelTester, UndeliveredManager
    from scheduler.features.incidents.service import IncidentManager
    from scheduler.features.suppressions.service import SilenceManager, WindowManager
    from scheduler.features.jobs.service import Backfiller, DefinitionTester, JobPauser
    from scheduler.features.stored_jobs.service import StoredJobEditor
    from scheduler.features.stored_jobs.sets import JobSetApplier
    from scheduler.features.access.service import ApiKeyManager, SessionManager
    from scheduler.features.secrets.service import SecretRefresher
    from scheduler.features.changes.markers import DeploymentMarking
    from scheduler.features.circuits.service import CircuitControl
    from scheduler.features.dead_letters.service import DeadLetterReplayer
    from scheduler.features.heartbeats.service import PingReceiver
    from scheduler.features.runs.service import RunCanceller, RunStarter
    from scheduler.operations.alerting.channel_tests import ChannelTester
    from scheduler.operations.alerting.incidents import IncidentManager
    from scheduler.operations.alerting.silences import SilenceManager
    from scheduler.operations.alerting.undelivered import UndeliveredManager
    from scheduler.operations.alerting.windows import WindowManager
    from scheduler.operations.api_keys import ApiKeyManager
    from scheduler.operations.backfills import Backfiller
    from scheduler.operations.cancellations import RunCanceller
    from scheduler.operations.circuits import CircuitControl
    from scheduler.operations.dead_letters import DeadLetterReplayer
    from scheduler.operations.markers import DeploymentMarking
    from scheduler.operations.pings import PingReceiver
    from scheduler.operations.runs import RunStarter
    from scheduler.operations.definition_tests import DefinitionTester
    from scheduler.operations.pauses import JobPauser
    from scheduler.operations.secrets import SecretRefresher
    from scheduler.operations.sessions import SessionManager
    from scheduler.operations.stored_jobs.editing import StoredJobEditor
    from scheduler.operations.stored_jobs.sets import JobSetApplier


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
