"""The embedded host: the API, the ticker and the worker in one process. Called by the CLI's `serve`.

SIGTERM or SIGINT stops it: no new run starts, runs in progress get `shutdown_grace`, those that have not finished then
are recorded as cancelled, and every part is closed. A second signal ends the process at once, like a crash. SIGHUP
reads the job files again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from config.loading import Configuration
from config.settings.fields import LOOPBACK_HOSTS
from jobs.checks.addresses import OwnEndpoint
from scheduler.api.lazy_app import LazyApi
from scheduler.app import Program
from scheduler.app.authentication_setup import require_identity
from scheduler.app.health_probes import connections_probe
from scheduler.connections.limits import max_connections, raise_file_limit
from scheduler.connections.register import ConnectionRegister
from scheduler.hosts.embedded.background import background_tasks, restart_on_failure
from scheduler.hosts.embedded.gc_tuning import freeze_long_lived_objects
from scheduler.hosts.embedded.listeners import listener_url, open_listener, open_sample_listener
from scheduler.hosts.embedded.maintenance import (
    keep_audit_trail,
    prune_periodically,
    record_states,
    reload_jobs,
)
from scheduler.hosts.embedded.program import EmbeddedProgram, open_embedded_program
from scheduler.hosts.embedded.recovery import RunRecovery
from scheduler.hosts.embedded.reload_signal import reload_at_signals
from scheduler.hosts.embedded.server import create_server, serve_sample_target
from scheduler.hosts.embedded.stop_signals import StopSignals, describe_stop
from scheduler.hosts.embedded.tick_loop import (
    create_ticker,
    last_tick_reader,
    save_cursor_periodically,
    save_tick_cursor,
    ticker_probe,
)
from scheduler.hosts.embedded.ticker import Ticker
from scheduler.stores.sqlite.file_lock import write_api_address

_log = logging.getLogger("scheduler.hosts.embedded.host")

LOOPBACK_NAMES = (*LOOPBACK_HOSTS, "[::1]")
WARM_UP_DELAY = 0.2
"""Seconds after the start, in which the first runs start and probes are answered, before the dashboard is prepared."""
FINAL_CURSOR_TIMEOUT = 0.5
"""Seconds to save the tick cursor when the host stops. A crash does not save it either."""
FINAL_AUDIT_TIMEOUT = 0.5
"""Seconds to publish the head of the audit trail when the host stops."""
THREAD_SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread yields to another. Runs wait for microseconds of work in the store's threads; with
Python's default of 5 ms, each of these threads would wait that long for the event loop's thread."""
RECOVERY_CONCURRENCY_DIVISOR = 4
"""One of this many concurrent runs may be a run that an earlier process left open. The others are for due runs."""


def serve(load: Callable[[str], Configuration], *, host: str | None = None, port: int | None = None) -> None:
    """Run until a signal arrives. `load` returns the configuration for the URL of the sample target.

    Raises:
        ConfigurationError, PortInUse, StoreError, IdentityMissing: nothing was started.
    """
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL)
    open_files = raise_file_limit()
    with open_sample_listener() as samples:
        configuration = load(listener_url(samples))
        settings = configuration.settings
        if not configuration.jobs.has_samples:
            samples.close()
        with (
            open_listener(host or settings.host, settings.port if port is None else port) as listener,
            asyncio.Runner(loop_factory=_uvloop_factory()) as runner,
        ):
            register = ConnectionRegister(max_connections(open_files, settings.concurrency))
            runner.run(_serve(configuration, listener, samples if configuration.jobs.has_samples else None, register))


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop if it is installed (not on Windows): a connection costs half the CPU."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _serve(
    configuration: Configuration, listener: socket.socket, samples: socket.socket | None, register: ConnectionRegister
) -> None:
    with StopSignals() as signals:
        served_at = OwnEndpoint(*listener.getsockname()[:2])
        async with open_embedded_program(configuration, served_at) as opened, serve_sample_target(samples):
            await _serve_program(opened, listener, signals, register)


async def _serve_program(
    opened: EmbeddedProgram, listener: socket.socket, signals: StopSignals, register: ConnectionRegister
) -> None:
    program = opened.program
    await require_identity(program)
    hosts = (*LOOPBACK_NAMES, *program.settings.http.accepted_hosts())
    api = LazyApi(program, hosts=hosts, on_created=freeze_long_lived_objects)
    server = create_server(api, register)
    program.health.add_probe("connections", connections_probe(register))
    ticker = await create_ticker(program)
    program.health.add_probe("ticker", ticker_probe(program, ticker))
    program.watchdog.set_tick_source(last_tick_reader(ticker))
    stopping = signals.listen(program.settings.shutdown_grace)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with background_tasks(
        *_background_work(opened, ticker), _warm_up(api, program, f"{listener_url(listener)}/")
    ):
        freeze_long_lived_objects()
        program.telemetry.service_started(host="embedded", jobs=len(program.catalog))
        await asyncio.to_thread(_record_address, program.settings.sqlite_path, listener_url(listener))
        await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await _drain(program, ticker)
    server.stop()
    await serving
    program.telemetry.service_stopped(host="embedded")


def _background_work(opened: EmbeddedProgram, ticker: Ticker) -> Sequence[Coroutine[None, None, None]]:
    program = opened.program
    recovery = _create_recovery(program)
    program.health.add_probe("recovery", recovery.health)
    return (
        # Not restarted: health reports when it ends.
        ticker.run(),
        restart_on_failure(recovery.run),
        restart_on_failure(partial(prune_periodically, program)),
        restart_on_failure(partial(keep_audit_trail, program)),
        restart_on_failure(partial(record_states, program)),
        restart_on_failure(partial(save_cursor_periodically, program, ticker)),
        restart_on_failure(program.watchdog.run),
        restart_on_failure(program.self_watch.run),
        restart_on_failure(program.alerting.run),
        restart_on_failure(program.alerting.run_daily_tests),
        restart_on_failure(partial(reload_jobs, opened, ticker)),
        restart_on_failure(partial(reload_at_signals, opened.job_reloader)),
    )


async def _warm_up(api: LazyApi, program: Program, dashboard: str) -> None:
    """Warm up the API, then log the address: after what the background work logs as it starts."""
    await asyncio.sleep(WARM_UP_DELAY)
    await api.warm_up()
    program.telemetry.dashboard_served(dashboard)


def _create_recovery(program: Program) -> RunRecovery:
    return RunRecovery(
        program.catalog,
        program.runs,
        program.repositories.dead_letters,
        program.worker,
        program.clock,
        max_concurrent_turns=max(1, program.settings.concurrency // RECOVERY_CONCURRENCY_DIVISOR),
    )


async def _drain(program: Program, ticker: Ticker) -> None:
    """Let runs in progress finish, then save the cursor and answer the requests that wait for runs."""
    _log.info("%s", describe_stop(program.worker.in_progress, program.settings.shutdown_grace))
    await program.worker.drain(program.settings.shutdown_grace)
    with suppress(TimeoutError):
        async with asyncio.timeout(FINAL_CURSOR_TIMEOUT):
            await save_tick_cursor(program, ticker)
    with suppress(TimeoutError):
        async with asyncio.timeout(FINAL_AUDIT_TIMEOUT):
            await program.audit_upkeep.finish()
    program.operations.runs.stop_waiting()


def _record_address(store: Path | None, address: str) -> None:
    if store is not None:
        with suppress(OSError):  # then commands use the address of the settings
            write_api_address(store, address)
