"""Builds the operations: what people and programs may change. Called by scheduler.app.program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.app.health_probes import heartbeats_probe
from scheduler.app.worker_setup import build_test_runner
from scheduler.features.changes.markers import DeploymentMarking
from scheduler.features.circuits.service import CircuitControl
from scheduler.features.dead_letters.service import DeadLetterReplayer
from scheduler.features.heartbeats.service import PingReceiver
from scheduler.features.runs.service import RunCanceller, RunStarter
from scheduler.operations import Operations
from scheduler.operations.alerting.channel_tests import ChannelTester
from scheduler.operations.alerting.incidents import IncidentManager
from scheduler.operations.alerting.silences import SilenceManager
from scheduler.operations.alerting.undelivered import UndeliveredManager
from scheduler.operations.alerting.windows import WindowManager
from scheduler.operations.api_keys import ApiKeyManager
from scheduler.operations.backfills import Backfiller
from scheduler.operations.definition_tests import DefinitionTester
from scheduler.operations.pauses import JobPauser
from scheduler.operations.secrets import SecretRefresher
from scheduler.operations.sessions import SessionManager
from scheduler.operations.stored_jobs.editing import StoredJobEditor
from scheduler.operations.stored_jobs.sets import JobSetApplier

if TYPE_CHECKING:
    from scheduler.app.program import Program


def build_operations(program: Program) -> Operations:
    catalog, runs, clock, audit = program.catalog, program.runs, program.clock, program.audit
    stored, worker, dispatch, alerting = program.repositories, program.worker, program.dispatch, program.alerting
    setup, committer = program.check_setup, program.stored_job_parts.committer
    request_pass, requested = alerting.runner.request_pass, program.telemetry.run_requested
    running = RunStarter(catalog, runs, dispatch, clock, audit, setup.prepare_for_run(), requested, worker.end_of)
    return Operations(
        runs=running,
        pauses=JobPauser(catalog, program.pauses, clock, audit, program.states),
        cancellations=RunCanceller(
            catalog, runs, running, stored.cancellations, worker.cancel, worker.publisher, clock, audit
        ),
        dead_letters=DeadLetterReplayer(catalog, stored.dead_letters, runs, dispatch, clock, audit),
        backfills=Backfiller(catalog, runs, stored.schedule_activations, dispatch, clock, audit),
        circuits=CircuitControl(program.circuits, stored.circuits, clock, audit),
        secrets=SecretRefresher(program.secret_monitor, audit),
        definition_tests=DefinitionTester(build_test_runner(program), clock, audit, catalog, runs, setup.bindings),
        pings=_build_ping_receiver(program, running),
        api_keys=ApiKeyManager(stored.api_keys, audit, clock),
        sessions=SessionManager(stored.sessions, audit, clock),
        stored_jobs=StoredJobEditor(stored.stored_jobs, committer),
        job_sets=JobSetApplier(committer, clock, program.definition_reviewer.review_stored),
        incidents=IncidentManager(catalog, stored.incident_log, alerting.changes, clock, audit),
        silences=SilenceManager(catalog, stored.silences, clock, audit, request_pass),
        windows=WindowManager(catalog, stored.requested_windows, clock, audit, request_pass),
        undelivered=UndeliveredManager(program.channels, stored.undelivered, clock, audit, alerting.notified.add),
        channel_tests=ChannelTester(catalog, stored.incident_log, alerting.channel_tester, audit),
        markers=DeploymentMarking(catalog, stored.markers, clock, audit),
    )


def _build_ping_receiver(program: Program, running: RunStarter) -> PingReceiver:
    setup, heartbeats = program.check_setup, program.repositories.heartbeats
    receiver = PingReceiver(
        program.catalog,
        setup.secrets,
        heartbeats,
        program.beats,
        program.pauses,
        running,
        program.redactor,
        program.clock,
        setup.bindings,
    )
    program.health.add_probe("heartbeats", heartbeats_probe(receiver))
    return receiver
