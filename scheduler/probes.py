"""How each part that the program opens answers for its health. Made by scheduler.app, asked by scheduler.health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from jobs.ports import Clock
from jobs.running.circuits import Circuits
from scheduler.health import PartHealth, Probe, Status
from scheduler.operations.pinging import Pinging
from scheduler.secret_watch import SecretWatch
from scheduler.stores.port import Store, StoreDamaged, StoreError
from scheduler.watchdog import StoreTrouble
from scheduler.work.worker import Worker

if TYPE_CHECKING:
    from config.identity import Identity
    from config.secrets import SecretChain
    from config.settings import Settings
    from jobs.kept_values import Trouble
    from observability.telemetry import Telemetry
    from scheduler.connections.register import Register


FOLDER_PATIENCE = 0.5
"""Seconds for the folder of mounted secrets: one that hangs is no reason to take no work."""
NEWS_PATIENCE = 0.7
"""Seconds for the store to tell of secrets: a store that hangs is no trouble of theirs."""
STORE_PATIENCE = 1.8
"""Seconds for the store, less than a part of health is given: so its own sentence is told."""
LOOK_PATIENCE = 0.7
"""Seconds to see whether what was away is back. What takes longer goes on to count as away."""


DROPPED_SAID_FOR = timedelta(hours=1)
"""For so long health says that results were dropped."""


def store_health(store: Store, where: str, trouble: StoreTrouble, damage: Callable[[], str] = lambda: "") -> Probe:
    """Down when rows cannot be written: no run can be claimed then. `where` it is, and what to look at.

    `trouble`: what claims and results have met. `damage`: what a check of the file has found; as long as claims and
    results succeed, the store is only degraded by it.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(STORE_PATIENCE):
                await store.ping()
        except StoreError as error:
            return (PartHealth("store", Status.DOWN, str(error)),)
        except TimeoutError:
            return (PartHealth("store", Status.DOWN, f"no answer within {STORE_PATIENCE:g} s: look at {where}"),)
        if (met := trouble.error) is not None:
            sentence = damage() if isinstance(met, StoreDamaged) else ""
            return (PartHealth("store", Status.DOWN, sentence or str(met)),)
        if found := damage():
            return (PartHealth("store", Status.DEGRADED, found),)
        return (PartHealth("store", Status.OK),)

    return probe


def results_health(worker: Worker, clock: Clock) -> Probe:
    """Degraded while results wait until the store takes them, and for a while after some were dropped."""

    async def probe() -> Sequence[PartHealth]:
        backlog, sentences = worker.backlog, []
        if backlog.number and backlog.since is not None:
            sentences.append(
                f"{_counted(backlog.number, 'result waits', 'results wait')} ({backlog.size / 2**20:.1f} MiB) since "
                f"{backlog.since:%Y-%m-%d %H:%M:%S}Z until the store takes them: {backlog.error}"
            )
        if backlog.dropped_at is not None and clock.now() - backlog.dropped_at < DROPPED_SAID_FOR:
            dropped = _counted(backlog.dropped, "result was", "results were")
            sentences.append(
                f"{dropped} dropped until {backlog.dropped_at:%Y-%m-%d %H:%M:%S}Z, as too many waited: the log has "
                "them, and their runs will be recorded as interrupted"
            )
        return (PartHealth("results", Status.DEGRADED if sentences else Status.OK, "; ".join(sentences)),)

    return probe


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def telemetry_health(telemetry: Telemetry) -> Probe:
    """A line an exporter; degraded at worst, as no run waits for one."""

    async def probe() -> Sequence[PartHealth]:
        return [
            PartHealth(
                str(report["exporter"]),
                Status.DEGRADED if report["state"] == "degraded" else Status.OK,
                f"{report['last_error']} ({report['dropped']} events dropped; runs go on): "
                "look at its key, its address and the outgoing network"
                if report["state"] == "degraded"
                else str(report["state"]),
            )
            for report in telemetry.health()
        ]

    return probe


def connections_health(register: Register) -> Probe:
    """Degraded while connections of the API are refused or closed for want of room."""

    async def probe() -> Sequence[PartHealth]:
        if shortage := register.shortage():
            return (PartHealth("connections", Status.DEGRADED, shortage),)
        return (PartHealth("connections", Status.OK),)

    return probe


def configuration_health(settings: Settings) -> Probe:
    """Down while a Key Vault reference of the platform is unresolved."""

    async def probe() -> Sequence[PartHealth]:
        if settings.unresolved:
            return (PartHealth("configuration", Status.DOWN, " ".join(settings.unresolved)),)
        return (PartHealth("configuration", Status.OK),)

    return probe


def circuits_health(circuits: Circuits, clock: Clock) -> Probe:
    """Degraded while their store is away: runs are let through."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PATIENCE):
                await circuits.look("health", clock.now())
        if circuits.degraded:
            message = (
                "their store is away: runs go on without asking the circuit; look at the part store and at the log"
            )
            return (PartHealth("circuits", Status.DEGRADED, message),)
        return (PartHealth("circuits", Status.OK),)

    return probe


def heartbeats_health(pinging: Pinging) -> Probe:
    """Degraded while a token cannot be used: its pings are not taken, and its job goes down."""

    async def probe() -> Sequence[PartHealth]:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PATIENCE):
                await pinging.look()
        if troubles := pinging.troubles():
            return (PartHealth("heartbeats", Status.DEGRADED, "; ".join(troubles.values())),)
        return (PartHealth("heartbeats", Status.OK),)

    return probe


def secrets_health(secret_values: SecretChain, identity: Identity, watch: SecretWatch) -> Probe:
    """Degraded while a secret or a token cannot be had, or only its kept value, and while one expires.

    Down while a mounted file holds a Key Vault reference instead of the secret, as with settings.
    """

    async def probe() -> Sequence[PartHealth]:
        try:
            async with asyncio.timeout(FOLDER_PATIENCE):
                unresolved = await secret_values.unresolved()
        except TimeoutError:
            message = "the folder of mounted secrets does not answer: look at how it is mounted, see secrets_folder"
            return (PartHealth("secrets", Status.DEGRADED, message),)
        if unresolved:
            return (PartHealth("secrets", Status.DOWN, " ".join(unresolved)),)
        with suppress(TimeoutError):
            async with asyncio.timeout(NEWS_PATIENCE):
                await watch.look()
        await _ask_again(secret_values, identity, watch)
        # Of a job that is gone the last failure would stay for ever.
        used = [trouble for trouble in secret_values.health() if watch.is_used(trouble.name)]
        troubles = [*map(_trouble_text, (*used, *identity.health())), *watch.expiring()]
        if troubles:
            return (PartHealth("secrets", Status.DEGRADED, "; ".join(troubles)),)
        return (PartHealth("secrets", Status.OK),)

    return probe


async def _ask_again(secret_values: SecretChain, identity: Identity, watch: SecretWatch) -> None:
    """What could not be had may be there by now: of a job that runs once a day health would tell a day later.

    Each of them is asked for at most every 15 s, however often health is; what is slow is told the next time.
    """
    secrets = [secret_values.get(trouble.name) for trouble in secret_values.health() if watch.is_used(trouble.name)]
    tokens = [identity.get(trouble.name) for trouble in identity.health()]
    if secrets or tokens:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PATIENCE):
                await asyncio.gather(*secrets, *tokens, return_exceptions=True)


def _trouble_text(trouble: Trouble) -> str:
    meanwhile = ", its last known value is used" if trouble.stale else ""
    return f"{trouble.message} (since {trouble.since:%Y-%m-%d %H:%M:%S}Z{meanwhile})"
