"""Builds alerting: evaluation, engine, delivery, and what they read. Called by building."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from config.own_services import list_own_services
from jobs.alerting.facts import SecretExpiryFact
from jobs.definition import JobDefinition
from jobs.ports import SelfChecks
from jobs.running.self_checks.network import PeerChecks, ReferenceChecks, parse_references
from jobs.running.self_checks.own_checks import CredentialChecks, OwnChecks
from jobs.targets import Target
from scheduler.alerting.alerting import Alerting, Notified
from scheduler.alerting.channel_testing import ChannelTestSender
from scheduler.alerting.daily_tests import DailyTests
from scheduler.alerting.delivery.channel_pass import DeliveryTools
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from scheduler.alerting.delivery.delivery import OutboxDelivery
from scheduler.alerting.delivery.policy import DeliveryPolicy
from scheduler.alerting.delivery.rendering import StoredIncidentRenderer
from scheduler.alerting.delivery.sender_directory import SenderDirectory
from scheduler.alerting.delivery.start_gate import StartGate
from scheduler.alerting.engine_runner import EngineRunner
from scheduler.alerting.evaluation.blindness import BlindnessWatch
from scheduler.alerting.evaluation.burn_rates.objectives import ObjectiveEvaluator
from scheduler.alerting.evaluation.burn_rates.run_counts import RunCountReader
from scheduler.alerting.evaluation.counted_runs import CountedRuns
from scheduler.alerting.evaluation.due_times import DueTimes
from scheduler.alerting.evaluation.evaluator import AlertEvaluator
from scheduler.alerting.evaluation.fact_reader import FactReader, SecretExpiries
from scheduler.alerting.evaluation.groups import GroupEvaluator
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import SHARED_ALERTS_MAX_AGE, KnownAlerts
from scheduler.alerting.facts_source import DefinedFactsSource
from scheduler.alerting.first_runs import FirstRuns
from scheduler.alerting.health import ALERTING_PART, NOTIFICATIONS_PART, AlertingHealth, HasError
from scheduler.alerting.incident_changes import IncidentChanges
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.alerting.rota_evaluation import open_calendar_judges
from scheduler.alerting.rotas import RotaReader
from scheduler.alerting.rule_book import RuleBook
from scheduler.alerting.window_pauses import WindowPauses
from scheduler.app.alerting.delivery_telemetry import DeliveryTelemetry
from scheduler.app.check_setup import CheckSetup
from scheduler.app.foundation import Foundation
from scheduler.queries.alerting.exclusions import ExclusionReader
from scheduler.secrets.monitor import SecretMonitor

FIRST_ROTA_WAIT = 2.0
"""Seconds for which the first pass of a process waits for a calendar."""


def build_self_checks(foundation: Foundation, setup: CheckSetup) -> SelfChecks:
    """Return what decides whether the scheduler itself is blind: the references of the settings, or all hosts."""
    settings, catalog, checks, clock = foundation.settings, foundation.catalog, setup.checks, foundation.clock

    def list_targets() -> Iterator[Target]:
        return (entry.job.check for entry in catalog.snapshot if entry.job.enabled)

    network: SelfChecks
    if settings.self_checks.references:
        network = ReferenceChecks(parse_references(settings.self_checks.references), checks, clock)
    else:
        network = PeerChecks(parse_references(list_own_services(settings)), list_targets, checks, clock)
    return OwnChecks(network, CredentialChecks(list_targets, foundation.identity, setup.secrets))


def build_alerting(
    foundation: Foundation, setup: CheckSetup, self_checks: SelfChecks, secrets: SecretMonitor
) -> Alerting:
    """Return alerting; the stack of the foundation closes it."""
    notified = Notified()
    due_times = DueTimes(foundation.runs)
    resources = GuardedChannelResources(setup.secrets, foundation.identity, setup.guard)
    foundation.stack.push_async_callback(resources.close)
    windows = WindowPauses(foundation.catalog, foundation.repositories.requested_windows)
    foundation.pauses.others = windows
    calendar_judges = open_calendar_judges()
    foundation.stack.push_async_callback(calendar_judges.aclose)
    rotas = RotaReader(resources, foundation.clock, calendar_judges, first_wait=FIRST_ROTA_WAIT)
    foundation.stack.push_async_callback(rotas.aclose)
    evaluator, facts = _build_evaluation(foundation, self_checks, secrets, due_times, windows, rotas)
    stored = foundation.repositories
    runner = EngineRunner(stored.engine_rows, facts, foundation.clock, on_notifications=notified.add)
    evaluator.on_change = runner.request_pass
    runner.on_written = foundation.telemetry.events.incidents_changed
    evaluator.on_evaluated = foundation.telemetry.metrics.alerts_evaluated
    tools = _build_delivery_tools(foundation, resources, facts)
    tester = ChannelTestSender(tools.channels, _build_message_source(foundation), tools.store, foundation.clock)
    alerting = Alerting(
        evaluator=evaluator,
        runner=runner,
        changes=IncidentChanges(stored.engine_rows, stored.incident_log, runner, foundation.clock),
        incidents=stored.incident_log,
        delivery=OutboxDelivery(tools),
        channel_tester=tester,
        daily_tests=DailyTests(
            lambda: foundation.catalog.snapshot.alerting.channels, tester, tools.store, foundation.clock
        ),
        facts=facts,
        rotas=rotas,
        silences=stored.silences,
        windows=stored.requested_windows,
        notified=notified,
        clock=foundation.clock,
        age_s=foundation.settings.alerting.age,
    )
    foundation.stack.push_async_callback(alerting.aclose)
    _add_probes(foundation, (evaluator, runner), facts, rotas)
    return alerting


def _build_evaluation(
    foundation: Foundation,
    self_checks: SelfChecks,
    secrets: SecretMonitor,
    due_times: DueTimes,
    windows: WindowPauses,
    rotas: RotaReader,
) -> tuple[AlertEvaluator, DefinedFactsSource]:
    stored, clock, shares_runs = foundation.repositories, foundation.clock, not foundation.profile.is_only_worker
    alerts = KnownAlerts(stored.alert_rows, clock, SHARED_ALERTS_MAX_AGE if shares_runs else float("inf"))

    def book() -> RuleBook:
        return evaluator.book

    samples = SampleReader(
        foundation.runs, CountedRuns(book, lambda: windows.requested).counts, retains=not shares_runs
    )
    exclusions = ExclusionReader(foundation.catalog, stored.incident_log, stored.requested_windows)
    run_counts = RunCountReader(foundation.runs, exclusions)
    evaluator = AlertEvaluator(
        foundation.catalog,
        alerts,
        samples,
        FactReader(stored.circuits, stored.dead_letters, _find_expiries(secrets), run_counts),
        due_times,
        GroupEvaluator(alerts, foundation.runs, samples, foundation.pauses, shares_runs=shares_runs),
        ObjectiveEvaluator(alerts, run_counts, clock, shares_runs=shares_runs),
        BlindnessWatch(alerts, self_checks, clock),
        foundation.pauses,
        clock,
        shares_runs=shares_runs,
    )
    facts = DefinedFactsSource(
        book,
        stored.silences,
        stored.requested_windows,
        foundation.pauses,
        due_times,
        rotas.read,
        shares_runs=shares_runs,
        group_wait=timedelta(seconds=foundation.settings.alerting.group_wait),
        first_runs=FirstRuns(stored.cursors, due_times, shares_runs=shares_runs),
    )
    return evaluator, facts


def _add_probes(
    foundation: Foundation, works: tuple[HasError, ...], facts: DefinedFactsSource, rotas: RotaReader
) -> None:
    stored = foundation.repositories
    health = AlertingHealth(
        foundation.catalog,
        works,
        facts,
        rotas,
        stored.outbox_rows,
        stored.undelivered,
        foundation.clock,
        has_links=bool(foundation.settings.http.public_url),
    )
    foundation.health.add_probe(ALERTING_PART, health.probe_alerting)
    foundation.health.add_probe(NOTIFICATIONS_PART, health.probe_notifications)


def _find_expiries(secrets: SecretMonitor) -> SecretExpiries:
    def find(job: JobDefinition) -> list[SecretExpiryFact]:
        return [SecretExpiryFact(name, expires_at) for name, expires_at in secrets.expiries_of(job)]

    return find


def _build_message_source(foundation: Foundation) -> DefinitionMessageSource:
    stored = foundation.repositories
    return DefinitionMessageSource(
        foundation.catalog,
        foundation.runs,
        stored.audit_log,
        stored.incident_log,
        public_url=foundation.settings.http.public_url or "",
        redact=foundation.redactor.redact,
    )


def _build_delivery_tools(
    foundation: Foundation, resources: GuardedChannelResources, facts: DefinedFactsSource
) -> DeliveryTools:
    stored, settings, catalog = foundation.repositories, foundation.settings, foundation.catalog
    policy = DeliveryPolicy(
        fallback_after=timedelta(seconds=settings.alerting.fallback_after),
        give_up_after=timedelta(seconds=settings.alerting.give_up_after),
    )
    return DeliveryTools(
        stored.outbox_rows,
        SenderDirectory(lambda: catalog.snapshot.alerting.channels, resources),
        StoredIncidentRenderer(stored.incident_log, _build_message_source(foundation)),
        foundation.clock,
        foundation.owner,
        policy,
        is_only_worker=foundation.profile.is_only_worker,
        listener=DeliveryTelemetry(foundation.telemetry, catalog),
        gate=StartGate(stored.incident_log, facts, foundation.clock),
    )
