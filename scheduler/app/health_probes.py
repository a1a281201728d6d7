"""What the program reports about itself: health probes of its parts, its exporters and its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from config.outbound import describe_outbound
from config.settings.loading import EffectiveSetting, LoadedSettings, list_settings, read_descriptions
from jobs.formats import format_count, format_instant
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from observability.telemetry import Telemetry
from scheduler.app.adapters import describe_store_location, find_file_check
from scheduler.features.heartbeats.service import PingReceiver
from scheduler.features.secrets.service import SecretMonitor
from scheduler.health import ExporterReport, HealthProbe, HealthStatus, OwnReports, PartHealth, SettingReport
from scheduler.stores.port import Store, StoreDamaged, StoreError
from scheduler.watchdog import StoreFailures
from scheduler.worker.worker import Worker

if TYPE_CHECKING:
    from config.identity import AppIdentity
    from config.secrets import SecretChain
    from config.settings.model import Settings
    from jobs.refreshing_cache import FetchFailure
    from scheduler.app.program import Program
    from scheduler.connections.register import ConnectionRegister
    from scheduler.processes.pool import ProcessPool


def build_own_reports(telemetry: Telemetry, loaded: LoadedSettings, redactor: Redactor) -> OwnReports:
    """Return functions that read the current values."""
    return OwnReports(_exporter_lister(telemetry), _setting_lister(loaded, redactor))


def _exporter_lister(telemetry: Telemetry) -> Callable[[], Sequence[ExporterReport]]:
    def list_exporters() -> Sequence[ExporterReport]:
        return [_to_report(each) for each in telemetry.health()]

    return list_exporters


def _to_report(values: Mapping[str, Any]) -> ExporterReport:
    return ExporterReport(
        name=values["exporter"],
        state=values["state"],
        last_error=values["last_error"] or "",
        sent=values["sent"],
        dropped=values["dropped"],
        waiting=values["waiting"],
        waiting_bytes=values["waiting_bytes"],
        oldest=values["oldest"] or "",
        spool_problem=values["spool_problem"],
    )


def _setting_lister(loaded: LoadedSettings, redactor: Redactor) -> Callable[[], Sequence[SettingReport]]:
    """Settings do not change while the program runs, so they are listed once."""

    @cache
    def list_reports() -> Sequence[SettingReport]:
        descriptions = dict(read_descriptions())
        return [
            SettingReport(
                ".".join(each.path),
                redactor.redact(each.value),
                each.origin,
                _find_source(each),
                each.is_secret,
                descriptions.pop(each.path[0], ""),
            )
            for each in list_settings(loaded)
        ]

    return list_reports


def _find_source(setting: EffectiveSetting) -> Literal["default", "file", "variable"]:
    if setting.is_default:
        return "default"
    return "file" if ":" in setting.origin else "variable"


SECRETS_FOLDER_TIMEOUT = 0.5
"""Seconds for the folder of mounted secrets. A folder that hangs must not make the app unready."""
SECRET_VERSIONS_TIMEOUT = 0.7
"""Seconds to read secret versions. A store that hangs is not a problem of the secrets."""
STORE_PING_TIMEOUT = 1.8
"""Seconds to write to the store: less than the time of a probe, so that this probe reports its own message."""
RECHECK_TIMEOUT = 0.7
"""Seconds to check again whatever was unavailable. Without an answer it stays unavailable."""


DROPPED_REPORT_PERIOD = timedelta(hours=1)
"""How long health reports that results were dropped."""


def add_own_probes(program: Program) -> None:
    """Add what the health report begins with: telemetry, configuration and store."""
    health, store, settings = program.health, program.store, program.configuration.settings
    health.add_probe("telemetry", telemetry_probe(program.telemetry))
    health.add_probe("configuration", configuration_probe(settings))
    if way_out := describe_outbound(program.settings):

        async def outbound_probe() -> Sequence[PartHealth]:
            return (PartHealth("outbound", HealthStatus.OK, way_out),)

        health.add_probe("outbound", outbound_probe)
    health.own_reports = build_own_reports(program.telemetry, program.configuration.loaded, program.redactor)
    check = find_file_check(store)
    damage = (lambda: "") if check is None else lambda: check.damage
    location = describe_store_location(program.settings)
    health.add_probe("store", store_probe(store, location, program.failures, damage))


def store_probe(
    store: Store, location: str, failures: StoreFailures, damage: Callable[[], str] = lambda: ""
) -> HealthProbe:
    """Down when rows cannot be written, because no run can be claimed then. `location`: what to check if it hangs.

    `failures`: the latest failure of claims and results. `damage`: the finding of the file check; while claims and
    results succeed, it only degrades the store.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(STORE_PING_TIMEOUT):
                await store.ping()
        except StoreError as error:
            return (PartHealth("store", HealthStatus.DOWN, str(error)),)
        except TimeoutError:
            return (
                PartHealth("store", HealthStatus.DOWN, f"no answer within {STORE_PING_TIMEOUT:g} s: check {location}"),
            )
        if (failure := failures.recent_error) is not None:
            sentence = damage() if isinstance(failure, StoreDamaged) else ""
            return (PartHealth("store", HealthStatus.DOWN, sentence or str(failure)),)
        if found := damage():
            return (PartHealth("store", HealthStatus.DEGRADED, found),)
        return (PartHealth("store", HealthStatus.OK),)

    return probe


def results_probe(worker: Worker, clock: Clock) -> HealthProbe:
    """Degraded while results wait to be written, and for an hour after some were dropped."""

    async def probe() -> Sequence[PartHealth]:
        backlog, sentences = worker.backlog, []
        if backlog.count and backlog.since is not None:
            sentences.append(
                f"{format_count(backlog.count, 'result waits', 'results wait')} "
                f"({backlog.size_bytes / 2**20:.1f} MiB) since "
                f"{format_instant(backlog.since)} for the store: {backlog.error}"
            )
        if backlog.dropped_at is not None and clock.now() - backlog.dropped_at < DROPPED_REPORT_PERIOD:
            dropped = format_count(backlog.dropped, "result was", "results were")
            sentences.append(
                f"{dropped} dropped until {format_instant(backlog.dropped_at)}, because too many waited: the log has "
                "them, and their runs will be recorded as interrupted"
            )
        return (PartHealth("results", HealthStatus.DEGRADED if sentences else HealthStatus.OK, "; ".join(sentences)),)

    return probe


def telemetry_probe(telemetry: Telemetry) -> HealthProbe:
    """One part per exporter; degraded at worst, because no run waits for an exporter."""

    async def probe() -> Sequence[PartHealth]:
        return [
            PartHealth(
                str(report["exporter"]),
                HealthStatus.DEGRADED if report["state"] == "degraded" else HealthStatus.OK,
                _describe_exporter(report),
            )
            for report in telemetry.health()
        ]

    return probe


def _describe_exporter(report: Mapping[str, object]) -> str:
    waiting = ""
    if report["state"] == "degraded" and report["waiting"]:
        size = f"{int(str(report['waiting_bytes'])) / 1024:.0f} KiB"
        waiting = f"; {report['waiting']} requests wait since {report['oldest']}, {size}"
    place = f"; what waits is in memory, not on disk: {report['spool_problem']}" if report["spool_problem"] else ""
    if report["state"] != "degraded":
        return f"{report['state']}{place}"
    return (
        f"{report['last_error']} ({report['dropped']} events dropped; runs continue): "
        f"check its key, its address and the outgoing network{waiting}{place}"
    )


def connections_probe(register: ConnectionRegister) -> HealthProbe:
    """Degraded while the API refuses or closes connections because of its limits."""

    async def probe() -> Sequence[PartHealth]:
        if shortage := register.describe_shortage():
            return (PartHealth("connections", HealthStatus.DEGRADED, shortage),)
        return (PartHealth("connections", HealthStatus.OK),)

    return probe


def configuration_probe(settings: Settings) -> HealthProbe:
    """Down while a Key Vault reference of the platform is unresolved."""

    async def probe() -> Sequence[PartHealth]:
        if settings.unresolved:
            return (PartHealth("configuration", HealthStatus.DOWN, " ".join(settings.unresolved)),)
        return (PartHealth("configuration", HealthStatus.OK),)

    return probe


def processes_probe(pool: ProcessPool) -> HealthProbe:
    """Report processes that should make attempts and do not run."""

    async def read() -> Sequence[PartHealth]:
        missing = pool.required_count - pool.ready_count
        if not missing or not pool.problem:  # starts for the first time, under load
            return ()
        message = f"processes that make attempts and do not run: {missing} of {pool.required_count}: {pool.problem}"
        return (PartHealth("processes", HealthStatus.DEGRADED, message),)

    return read


def circuits_probe(circuits: CircuitBreakers, clock: Clock) -> HealthProbe:
    """Degraded while their store is unavailable: runs are admitted then."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await circuits.check_store("health", clock.now())
        if circuits.is_degraded:
            message = (
                "their store is unavailable: runs are admitted without a check of the "
                "circuit; see the part store and the log"
            )
            return (PartHealth("circuits", HealthStatus.DEGRADED, message),)
        return (PartHealth("circuits", HealthStatus.OK),)

    return probe


def heartbeats_probe(pinging: PingReceiver) -> HealthProbe:
    """Degraded while a ping token is unusable: its pings are rejected, and its job goes down."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await pinging.recheck_tokens()
        if errors := pinging.token_errors():
            return (PartHealth("heartbeats", HealthStatus.DEGRADED, "; ".join(errors.values())),)
        return (PartHealth("heartbeats", HealthStatus.OK),)

    return probe


def secrets_probe(secret_values: SecretChain, identity: AppIdentity, watch: SecretMonitor) -> HealthProbe:
    """Degraded while a secret or a token is unavailable or stale, and while a secret is about to expire.

    Down while a mounted file contains a Key Vault reference instead of the secret, as with settings.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(SECRETS_FOLDER_TIMEOUT):
                unresolved = await secret_values.unresolved()
        except TimeoutError:
            message = "the folder of mounted secrets does not respond: check how secrets_folder is mounted"
            return (PartHealth("secrets", HealthStatus.DEGRADED, message),)
        if unresolved:
            return (PartHealth("secrets", HealthStatus.DOWN, " ".join(unresolved)),)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECRET_VERSIONS_TIMEOUT):
                await watch.check_versions()
        await _recheck_failures(secret_values, identity, watch)
        # The last failure of a removed job would never be cleared.
        used = [failure for failure in secret_values.health() if watch.is_used(failure.name)]
        problems = [*map(_describe_problem, (*used, *identity.health())), *watch.expiry_messages()]
        if problems:
            return (PartHealth("secrets", HealthStatus.DEGRADED, "; ".join(problems)),)
        return (PartHealth("secrets", HealthStatus.OK),)

    return probe


async def _recheck_failures(secret_values: SecretChain, identity: AppIdentity, watch: SecretMonitor) -> None:
    """Read failed secrets and tokens again: a job that runs once a day would clear its failure a day later.

    Each is read at most every 15 s, however often health is requested; the next report shows one that is slow.
    """
    secrets = [
        secret_values.get_secret(failure.name) for failure in secret_values.health() if watch.is_used(failure.name)
    ]
    tokens = [identity.get_token(failure.name) for failure in identity.health()]
    if secrets or tokens:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await asyncio.gather(*secrets, *tokens, return_exceptions=True)


def _describe_problem(failure: FetchFailure) -> str:
    meanwhile = ", the last known value is used" if failure.is_stale_value_used else ""
    return f"{failure.message} (since {format_instant(failure.since)}{meanwhile})"
