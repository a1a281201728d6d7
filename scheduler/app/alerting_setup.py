"""Builds alerting: evaluation, engine, delivery, what they read, and what telemetry hears of notifications."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from config.check_rules import list_own_services
from config.outbound import export_proxy
from jobs.alerting.facts import SecretExpiryFact
from jobs.definition import JobDefinition
from jobs.notifications.port import UndeliveredNotification
from jobs.ports import SelfChecks
from jobs.running.network_self_check import PeerChecks, ReferenceChecks, parse_references
from jobs.running.self_checks import CredentialChecks, OwnChecks, ProxyChecks
from jobs.targets import Target
from observability.telemetry import Telemetry
from scheduler.alerting.alerting import Alerting, Notified
from scheduler.alerting.azure_health import AzureHealthWatch
from scheduler.alerting.channel_testing import ChannelTestSender, DailyTests
from scheduler.alerting.delivery.channel_pass import DeliveryTools
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from scheduler.alerting.delivery.delivery import OutboxDelivery, SenderDirectory, StartGate
from scheduler.alerting.delivery.outcomes import DeliveryPolicy
from scheduler.alerting.delivery.rendering import StoredIncidentRenderer
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.alerting.evaluation.blindness import BlindnessWatch
from scheduler.alerting.evaluation.burn_rates import ObjectiveEvaluator, RunCountReader
from scheduler.alerting.evaluation.compared_hours import ComparedHoursReader
from scheduler.alerting.evaluation.evaluator import AlertEvaluator
from scheduler.alerting.evaluation.history import CountedRuns, FactReader, SampleReader, SecretExpiries
from scheduler.alerting.evaluation.judging import GroupEvaluator
from scheduler.alerting.evaluation.known_alerts import SHARED_ALERTS_MAX_AGE, KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import DueTimes
from scheduler.alerting.facts import DefinedFactsSource, FirstRuns
from scheduler.alerting.health import ALERTING_PART, NOTIFICATIONS_PART, AlertingHealth, HasError
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.alerting.rotas import RotaReader, open_calendar_judges
from scheduler.alerting.rule_book import RuleBook
from scheduler.alerting.window_pauses import WindowPauses
from scheduler.catalog.catalog import Catalog
from scheduler.features.incidents.exclusions import ExclusionReader
from scheduler.features.secrets.service import SecretMonitor
from scheduler.watchdog.program_gauges import UNDEFINED_CHANNEL_KIND

if TYPE_CHECKING:
    from scheduler.app.program import Program


class DeliveryTelemetry:
    """Implements scheduler.alerting.delivery.port.DeliveryListener: by kinds, which are few, not by channels."""

    def __init__(self, telemetry: Telemetry, catalog: Catalog) -> None:
        self._metrics, self._events = telemetry.metrics, telemetry.events
        self._catalog = catalog

    def message_sent(self, channel: str) -> None:
        """Count a message that the channel has accepted."""
        self._metrics.notification_sent(self._kind_of(channel))

    def message_failed(self, channel: str) -> None:
        """Count a message that the channel has not accepted."""
        self._metrics.notification_failed(self._kind_of(channel))

    def notifications_given_up(self, channel: str, letters: Sequence[UndeliveredNotification]) -> None:
        """Count notifications that no channel could deliver."""
        kind, reason = self._kind_of(channel), letters[-1].error
        self._metrics.notifications_given_up(kind, len(letters))
        self._events.notifications_given_up(channel, kind, len(letters), reason)

    def _kind_of(self, channel: str) -> str:
        found = self._catalog.snapshot.alerting.channels.get(channel)
        return UNDEFINED_CHANNEL_KIND if found is None else found.kind


FIRST_ROTA_WAIT = 2.0
"""Seconds for which the first pass of a process waits for a calendar."""


def build_self_checks(program: Program) -> SelfChecks:
    """Return what decides whether the scheduler itself is blind: the references of the settings, or all hosts."""
    settings, catalog, checks, clock = program.settings, program.catalog, program.check_setup.checks, program.clock
    outbound = program.check_setup.outbound

    def list_targets() -> Iterator[Target]:
        return (entry.job.check for entry in catalog.snapshot if entry.job.enabled)

    network: SelfChecks
    if settings.self_checks.references:
        network = ReferenceChecks(parse_references(settings.self_checks.references), checks, clock)
    else:
        own_services = parse_references(list_own_services(settings))
        network = PeerChecks(own_services, list_targets, checks, clock, outbound)
    proxy = None
    if outbound.proxy is not None:
        proxy = ProxyChecks(outbound, list_targets, clock)
        program.stack.callback(proxy.close)
    credentials = CredentialChecks(list_targets, program.identity, program.check_setup.secrets)
    return OwnChecks(network, credentials, proxy)


def build_alerting(program: Program) -> Alerting:
    """Return alerting; the stack of the program closes it."""
    setup = program.check_setup
    notified = Notified()
    due_times = DueTimes(program.runs)
    resources = GuardedChannelResources(setup.secrets, program.identity, setup.guard, setup.outbound)
    export_proxy(setup.outbound, os.environ)
    program.stack.push_async_callback(resources.close)
    windows = WindowPauses(program.catalog, program.repositories.requested_windows)
    program.pauses.others = windows
    calendar_judges = open_calendar_judges()
    program.stack.push_async_callback(calendar_judges.aclose)
    rotas = RotaReader(resources, program.clock, calendar_judges, first_wait=FIRST_ROTA_WAIT)
    program.stack.push_async_callback(rotas.aclose)
    evaluator, facts = _build_evaluation(program, due_times, windows, rotas)
    stored = program.repositories
    runner = EngineRunner(stored.engine_rows, facts, program.clock, on_notifications=notified.add)
    evaluator.on_change = runner.request_pass
    runner.on_written = program.telemetry.events.incidents_changed
    evaluator.on_evaluated = program.telemetry.metrics.alerts_evaluated
    tools = _build_delivery_tools(program, resources, facts)
    tester = ChannelTestSender(tools.channels, _build_message_source(program), tools.store, program.clock)
    changes = IncidentChanges(stored.engine_rows, stored.incident_log, runner, program.clock)
    alerting = Alerting(
        evaluator=evaluator,
        runner=runner,
        changes=changes,
        incidents=stored.incident_log,
        delivery=OutboxDelivery(tools),
        channel_tester=tester,
        daily_tests=DailyTests(lambda: program.catalog.snapshot.alerting.channels, tester, tools.store, program.clock),
        facts=facts,
        rotas=rotas,
        silences=stored.silences,
        windows=stored.requested_windows,
        notified=notified,
        clock=program.clock,
        age_s=program.settings.alerting.age,
        azure_health=_build_azure_health(program, runner, changes),
    )
    program.stack.push_async_callback(alerting.aclose)
    _add_probes(program, (evaluator, runner), facts, rotas)
    return alerting


def _build_azure_health(program: Program, runner: EngineRunner, changes: IncidentChanges) -> AzureHealthWatch | None:
    if not program.settings.alerting.azure_health:
        return None
    incidents, checks = program.repositories.incident_log, program.check_setup.checks
    return AzureHealthWatch(runner, changes, incidents, program.catalog, checks, program.redactor.redact, program.clock)


def _build_evaluation(
    program: Program, due_times: DueTimes, windows: WindowPauses, rotas: RotaReader
) -> tuple[AlertEvaluator, DefinedFactsSource]:
    stored, clock, shares_runs = program.repositories, program.clock, not program.is_only_worker
    alerts = KnownAlerts(stored.alert_rows, clock, SHARED_ALERTS_MAX_AGE if shares_runs else float("inf"))

    def book() -> RuleBook:
        return evaluator.book

    samples = SampleReader(program.runs, CountedRuns(book, lambda: windows.requested).counts, retains=not shares_runs)
    exclusions = ExclusionReader(program.catalog, stored.incident_log, stored.requested_windows)
    run_counts = RunCountReader(program.runs, exclusions)
    compared_hours = ComparedHoursReader(program.runs, exclusions)
    expiries = _find_expiries(program.secret_monitor)
    evaluator = AlertEvaluator(
        program.catalog,
        alerts,
        samples,
        FactReader(stored.circuits, stored.dead_letters, expiries, run_counts, compared_hours),
        due_times,
        GroupEvaluator(alerts, program.runs, samples, program.pauses, shares_runs=shares_runs),
        ObjectiveEvaluator(alerts, run_counts, clock, shares_runs=shares_runs),
        BlindnessWatch(alerts, program.self_checks, clock, lambda: program.watchdog.read_starvation()),
        program.pauses,
        clock,
        shares_runs=shares_runs,
    )
    facts = DefinedFactsSource(
        book,
        stored.silences,
        stored.requested_windows,
        program.pauses,
        due_times,
        rotas.read,
        shares_runs=shares_runs,
        group_wait=timedelta(seconds=program.settings.alerting.group_wait),
        first_runs=FirstRuns(stored.cursors, due_times, shares_runs=shares_runs),
    )
    return evaluator, facts


def _add_probes(program: Program, works: tuple[HasError, ...], facts: DefinedFactsSource, rotas: RotaReader) -> None:
    stored = program.repositories
    health = AlertingHealth(
        program.catalog,
        works,
        facts,
        rotas,
        stored.outbox_rows,
        stored.undelivered,
        program.clock,
        has_links=bool(program.settings.http.public_url),
    )
    program.health.add_probe(ALERTING_PART, health.probe_alerting)
    program.health.add_probe(NOTIFICATIONS_PART, health.probe_notifications)


def _find_expiries(secrets: SecretMonitor) -> SecretExpiries:
    def find(job: JobDefinition) -> list[SecretExpiryFact]:
        return [SecretExpiryFact(name, expires_at) for name, expires_at in secrets.expiries_of(job)]

    return find


def _build_message_source(program: Program) -> DefinitionMessageSource:
    stored = program.repositories
    return DefinitionMessageSource(
        program.catalog,
        program.runs,
        stored.audit_log,
        stored.incident_log,
        stored.health_histories,
        public_url=program.settings.http.public_url or "",
        redact=program.redactor.redact,
    )


def _build_delivery_tools(
    program: Program, resources: GuardedChannelResources, facts: DefinedFactsSource
) -> DeliveryTools:
    stored, settings, catalog = program.repositories, program.settings, program.catalog
    policy = DeliveryPolicy(
        fallback_after=timedelta(seconds=settings.alerting.fallback_after),
        give_up_after=timedelta(seconds=settings.alerting.give_up_after),
    )
    return DeliveryTools(
        stored.outbox_rows,
        SenderDirectory(lambda: catalog.snapshot.alerting.channels, resources),
        StoredIncidentRenderer(stored.incident_log, _build_message_source(program)),
        program.clock,
        program.owner,
        policy,
        is_only_worker=program.is_only_worker,
        listener=DeliveryTelemetry(program.telemetry, catalog),
        gate=StartGate(stored.incident_log, facts, program.clock),
    )
