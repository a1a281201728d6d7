"""The health checks of the parts that the program opens. Made by scheduler.app, for the health report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.formats.instants import format_instant
from jobs.ports import Clock
from jobs.running.circuit_breaker.breakers import CircuitBreakers
from scheduler.health.report import HealthProbe, HealthStatus, PartHealth
from scheduler.operations.pings import PingReceiver
from scheduler.secrets.monitor import SecretMonitor
from scheduler.stores.port import Store, StoreDamaged, StoreError
from scheduler.watchdog import StoreFailures
from scheduler.worker.worker import Worker

if TYPE_CHECKING:
    from config.identity import AppIdentity
    from config.secrets import SecretChain
    from config.settings.model import Settings
    from jobs.refreshing_cache import FetchFailure
    from observability.telemetry import Telemetry
    from scheduler.connections.register import ConnectionRegister


SECRETS_FOLDER_TIMEOUT = 0.5
"""Seconds for the folder of mounted secrets: one that hangs is no reason to take no work."""
SECRET_VERSIONS_TIMEOUT = 0.7
"""Seconds for the store to tell of secrets: a store that hangs is no trouble of theirs."""
STORE_PING_TIMEOUT = 1.8
"""Seconds for the store, less than a part of health is given: so its own sentence is told."""
RECHECK_TIMEOUT = 0.7
"""Seconds to see whether what was away is back. What takes longer goes on to count as away."""


DROPPED_REPORT_PERIOD = timedelta(hours=1)
"""For so long health says that results were dropped."""


def store_probe(
    store: Store, location: str, trouble: StoreFailures, damage: Callable[[], str] = lambda: ""
) -> HealthProbe:
    """Down when rows cannot be written: no run can be claimed then. `where` it is, and what to look at.

    `trouble`: what claims and results have met. `damage`: what a check of the file has found; as long as claims and
    results succeed, the store is only degraded by it.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(STORE_PING_TIMEOUT):
                await store.ping()
        except StoreError as error:
            return (PartHealth("store", HealthStatus.DOWN, str(error)),)
        except TimeoutError:
            return (
                PartHealth(
                    "store", HealthStatus.DOWN, f"no answer within {STORE_PING_TIMEOUT:g} s: look at {location}"
                ),
            )
        if (met := trouble.recent_error) is not None:
            sentence = damage() if isinstance(met, StoreDamaged) else ""
            return (PartHealth("store", HealthStatus.DOWN, sentence or str(met)),)
        if found := damage():
            return (PartHealth("store", HealthStatus.DEGRADED, found),)
        return (PartHealth("store", HealthStatus.OK),)

    return probe


def results_probe(worker: Worker, clock: Clock) -> HealthProbe:
    """Degraded while results wait until the store takes them, and for a while after some were dropped."""

    async def probe() -> Sequence[PartHealth]:
        backlog, sentences = worker.backlog, []
        if backlog.count and backlog.since is not None:
            sentences.append(
                f"{_count_phrase(backlog.count, 'result waits', 'results wait')} ({backlog.size_bytes / 2**20:.1f} MiB) since "
                f"{format_instant(backlog.since)} until the store takes them: {backlog.error}"
            )
        if backlog.dropped_at is not None and clock.now() - backlog.dropped_at < DROPPED_REPORT_PERIOD:
            dropped = _count_phrase(backlog.dropped, "result was", "results were")
            sentences.append(
                f"{dropped} dropped until {format_instant(backlog.dropped_at)}, as too many waited: the log has "
                "them, and their runs will be recorded as interrupted"
            )
        return (PartHealth("results", HealthStatus.DEGRADED if sentences else HealthStatus.OK, "; ".join(sentences)),)

    return probe


def _count_phrase(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def telemetry_probe(telemetry: Telemetry) -> HealthProbe:
    """A line an exporter; degraded at worst, as no run waits for one."""

    async def probe() -> Sequence[PartHealth]:
        return [
            PartHealth(
                str(report["exporter"]),
                HealthStatus.DEGRADED if report["state"] == "degraded" else HealthStatus.OK,
                f"{report['last_error']} ({report['dropped']} events dropped; runs go on): "
                "look at its key, its address and the outgoing network"
                if report["state"] == "degraded"
                else str(report["state"]),
            )
            for report in telemetry.health()
        ]

    return probe


def connections_probe(register: ConnectionRegister) -> HealthProbe:
    """Degraded while connections of the API are refused or closed for want of room."""

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


def circuits_probe(circuits: CircuitBreakers, clock: Clock) -> HealthProbe:
    """Degraded while their store is away: runs are let through."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await circuits.check_store("health", clock.now())
        if circuits.is_degraded:
            message = (
                "their store is away: runs go on without asking the circuit; look at the part store and at the log"
            )
            return (PartHealth("circuits", HealthStatus.DEGRADED, message),)
        return (PartHealth("circuits", HealthStatus.OK),)

    return probe


def heartbeats_probe(pinging: PingReceiver) -> HealthProbe:
    """Degraded while a token cannot be used: its pings are not taken, and its job goes down."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await pinging.recheck_tokens()
        if troubles := pinging.token_errors():
            return (PartHealth("heartbeats", HealthStatus.DEGRADED, "; ".join(troubles.values())),)
        return (PartHealth("heartbeats", HealthStatus.OK),)

    return probe


def secrets_probe(secret_values: SecretChain, identity: AppIdentity, watch: SecretMonitor) -> HealthProbe:
    """Degraded while a secret or a token cannot be had, or only its kept value, and while one expires.

    Down while a mounted file holds a Key Vault reference instead of the secret, as with settings.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(SECRETS_FOLDER_TIMEOUT):
                unresolved = await secret_values.unresolved()
        except TimeoutError:
            message = "the folder of mounted secrets does not answer: look at how it is mounted, see secrets_folder"
            return (PartHealth("secrets", HealthStatus.DEGRADED, message),)
        if unresolved:
            return (PartHealth("secrets", HealthStatus.DOWN, " ".join(unresolved)),)
        with suppress(TimeoutError):
            async with asyncio.timeout(SECRET_VERSIONS_TIMEOUT):
                await watch.check_versions()
        await _recheck_failures(secret_values, identity, watch)
        # Of a job that is gone the last failure would stay for ever.
        used = [trouble for trouble in secret_values.health() if watch.is_used(trouble.name)]
        troubles = [*map(_describe_problem, (*used, *identity.health())), *watch.expiry_messages()]
        if troubles:
            return (PartHealth("secrets", HealthStatus.DEGRADED, "; ".join(troubles)),)
        return (PartHealth("secrets", HealthStatus.OK),)

    return probe


async def _recheck_failures(secret_values: SecretChain, identity: AppIdentity, watch: SecretMonitor) -> None:
    """What could not be had may be there by now: of a job that runs once a day health would tell a day later.

    Each of them is asked for at most every 15 s, however often health is; what is slow is told the next time.
    """
    secrets = [
        secret_values.get_secret(trouble.name) for trouble in secret_values.health() if watch.is_used(trouble.name)
    ]
    tokens = [identity.get_token(trouble.name) for trouble in identity.health()]
    if secrets or tokens:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_TIMEOUT):
                await asyncio.gather(*secrets, *tokens, return_exceptions=True)


def _describe_problem(trouble: FetchFailure) -> str:
    meanwhile = ", its last known value is used" if trouble.is_stale_value_used else ""
    return f"{trouble.message} (since {format_instant(trouble.since)}{meanwhile})"
