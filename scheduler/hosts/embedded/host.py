"""The embedded host: the API, the ticker and the worker in one process. The CLI's `serve` runs it.

SIGTERM or SIGINT stops it: no new run starts, runs in progress get `shutdown_grace`, those that have not finished then
are recorded as cancelled, and every part is closed. A second signal ends the process at once, like a crash. SIGHUP
reads the job files again.

With 10,000 jobs a full collection of garbage takes 0.1 s, in which no run starts, and a sixth of the CPU of a run is
spent on definitions that are never freed. So the objects that exist when the program is ready are frozen: the collector
skips them, and reference counting still frees them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from config.loading import Configuration
from config.settings.fields import LOOPBACK_HOSTS
from jobs.checks.addresses import OwnEndpoint
from scheduler.api.lazy_app import LazyApi
from scheduler.app import Program
from scheduler.app.authentication_setup import require_identity
from scheduler.app.health_probes import connections_probe
from scheduler.connections.limits import max_connections, raise_file_limit
from scheduler.connections.register import ConnectionRegister
from scheduler.hosts.embedded.leading import LeadingWork, background_tasks, restart_on_failure
from scheduler.hosts.embedded.program import (
    EmbeddedProgram,
    keep_audit_trail,
    open_embedded_program,
    reload_jobs,
    watch_secrets,
)
from scheduler.hosts.embedded.server import (
    create_server,
    listener_url,
    open_listener,
    open_sample_listener,
    serve_sample_target,
)
from scheduler.hosts.embedded.service_manager import SOCKET_VARIABLE, report_state
from scheduler.hosts.embedded.signals import StopSignals, describe_stop, reload_at_signals
from scheduler.hosts.embedded.ticker import last_tick_reader, save_tick_cursor, ticker_probe
from scheduler.stores.sqlite.file_lock import write_api_address

_log = logging.getLogger("scheduler.hosts.embedded.host")

_YOUNG_THRESHOLD = 20_000
"""New objects that trigger a collection. Runs create few cycles, so Python's default of 700 is too low."""
_MIDDLE_THRESHOLD, _OLD_THRESHOLD = 2, 40
"""Collections of one generation that trigger one of the next. After 2 young ones instead of 10, the middle collection
has 60,000 objects at most, which takes 10 ms; the full collection is as rare as with Python's defaults."""


def freeze_long_lived_objects() -> None:
    """Collect once, then exclude all current objects from later collections. A second call includes the frozen ones.

    Not called after a reload: 10,000 new jobs add 9 ms to a full collection, which is rare; this call takes four times
    that.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # perf: a full collection with 10,000 definitions takes 70 ms, afterwards 0.01 ms
    gc.set_threshold(_YOUNG_THRESHOLD, _MIDDLE_THRESHOLD, _OLD_THRESHOLD)


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


def serve(
    load: Callable[[str], Configuration],
    *,
    host: str | None = None,
    port: int | None = None,
    processes: int | Literal["auto"] | None = None,
) -> None:
    """Run until a signal arrives. `load` returns the configuration for the URL of the sample target.

    `host`, `port` and `processes` replace the settings.

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
            sample_target = samples if configuration.jobs.has_samples else None
            given = {"host": host, "port": None if port is None else listener.getsockname()[1], "processes": processes}
            arguments = {name: str(value) for name, value in given.items() if value is not None}
            runner.run(_serve(configuration, listener, sample_target, register, processes, arguments))


def _uvloop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop if it is installed (not on Windows): a connection costs half the CPU."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _serve(
    configuration: Configuration,
    listener: socket.socket,
    samples: socket.socket | None,
    register: ConnectionRegister,
    processes: int | Literal["auto"] | None,
    arguments: Mapping[str, str],
) -> None:
    with StopSignals() as signals:
        served_at = OwnEndpoint(*listener.getsockname()[:2])
        program = open_embedded_program(configuration, served_at, processes=processes)
        async with program as opened, serve_sample_target(samples):
            health = opened.program.health
            health.own_reports = health.own_reports.with_arguments(arguments)
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
    work = LeadingWork(program)
    await work.open()
    program.health.add_probe("ticker", ticker_probe(program, lambda: work.ticker))
    program.watchdog.set_tick_source(last_tick_reader(program, lambda: work.ticker))
    stopping = signals.listen(program.settings.shutdown_grace)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with background_tasks(*_background_work(opened, work), _warm_up(api, program, f"{listener_url(listener)}/")):
        freeze_long_lived_objects()
        program.telemetry.service_started(host="embedded", jobs=len(program.catalog))
        await asyncio.to_thread(_record_address, program.settings.sqlite_path, listener_url(listener))
        await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await _drain(program, work)
    server.stop()
    await serving
    program.telemetry.service_stopped(host="embedded")


def _background_work(opened: EmbeddedProgram, work: LeadingWork) -> Sequence[Coroutine[None, None, None]]:
    """Return the work of every process, the leader's included."""
    program = opened.program
    return (
        # Not restarted: health reports when it ends.
        work.run(),
        restart_on_failure(partial(keep_audit_trail, program)),
        restart_on_failure(partial(watch_secrets, program)),
        restart_on_failure(partial(reload_jobs, opened, work)),
        restart_on_failure(partial(reload_at_signals, opened.job_reloader)),
        *([restart_on_failure(program.process_pool.run)] if program.process_pool is not None else []),
        *([restart_on_failure(partial(report_state, os.environ))] if SOCKET_VARIABLE in os.environ else []),
    )


async def _warm_up(api: LazyApi, program: Program, dashboard: str) -> None:
    """Warm up the API, then log the address: after what the background work logs as it starts."""
    await asyncio.sleep(WARM_UP_DELAY)
    await api.warm_up(prepares_overview=not program.has_replicas)
    program.telemetry.dashboard_served(dashboard)


async def _drain(program: Program, work: LeadingWork) -> None:
    """Let runs in progress finish, save the cursor, resign the lead, and answer the requests that wait for runs."""
    worker, grace = program.worker, program.settings.shutdown_grace
    _log.info("%s", describe_stop(worker.in_progress, grace, worker.in_flight_count - len(worker.in_progress)))
    await worker.drain(grace)
    if work.ticker is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FINAL_CURSOR_TIMEOUT):
                await save_tick_cursor(program, work.ticker)
    with suppress(TimeoutError):
        async with asyncio.timeout(FINAL_CURSOR_TIMEOUT):
            await work.resign()
    with suppress(TimeoutError):
        async with asyncio.timeout(FINAL_AUDIT_TIMEOUT):
            await program.audit_upkeep.finish()
    program.operations.runs.stop_waiting()


def _record_address(store: Path | None, address: str) -> None:
    if store is not None:
        with suppress(OSError):  # then commands use the address of the settings
            write_api_address(store, address)
