"""The embedded host: HTTP, ticks and work in one process. Called by the CLI's `serve`.

Ends on SIGTERM or SIGINT: no new run starts, those in work get the grace of the settings, the rest is recorded as
cancelled, and everything is closed. A second signal ends it at once, as a crash would.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn

from config.loading import Configuration
from config.settings.fields import LOOPBACK_HOSTS
from jobs.checks.guard.own_endpoints import OwnEndpoint
from jobs.formats.instants import format_instant
from jobs.schedules import Schedule
from scheduler.api.lazy_app import LazyApi
from scheduler.app import Program
from scheduler.app.health_probes import connections_probe
from scheduler.catalog.catalog import JobSnapshot
from scheduler.connections.limits import max_connections, raise_file_limit
from scheduler.connections.protocol import BoundedProtocol
from scheduler.connections.register import ConnectionRegister
from scheduler.health.report import HealthProbe, HealthStatus, PartHealth
from scheduler.hosts.embedded.gc_tuning import freeze_long_lived_objects
from scheduler.hosts.embedded.program import EmbeddedProgram, open_embedded_program
from scheduler.hosts.embedded.recovery import RunRecovery
from scheduler.hosts.embedded.sample_target import SAMPLE_PORT, SampleTarget
from scheduler.hosts.embedded.stop_signals import StopSignals, describe_stop
from scheduler.hosts.embedded.ticker import MAX_TICK_INTERVAL, Ticker
from scheduler.stores.cursors import PLANNED_UNTIL_CURSOR
from scheduler.stores.port import StoreError
from scheduler.stores.sqlite.file_lock import write_api_address

_log = logging.getLogger("scheduler.hosts.embedded.host")

LOOPBACK_NAMES = (*LOOPBACK_HOSTS, "[::1]")
ACCEPT_BACKLOG = 256
"""Connections that wait to be accepted. They are accepted all together, before any can be closed for want of room."""
SAMPLE_TARGET_CONNECTIONS = 50
"""Connections of the sample target."""
HTTP_SHUTDOWN_TIMEOUT = 1
"""Seconds for answers under way when the server ends."""
RETENTION_INTERVAL = 30.0
"""Seconds between two rounds of retention: short, so that each round has little to delete."""
CURSOR_SAVE_INTERVAL = 2.0
"""Seconds between two notes of how far the ticks are."""
ACTIVATION_RETRY_DELAY = 0.5
"""Seconds after which changed schedules that could not be marked are tried again."""
SERVER_TICK_INTERVAL = 1.0
"""Seconds between two looks of the server at its connections, and at the date that its answers carry."""
FINAL_CURSOR_TIMEOUT = 0.5
"""Seconds at the end for the store to note how far the ticks are: a crash would not note it at all."""
TASK_RESTART_DELAY = 30.0
"""Seconds after which a background task that broke is begun again."""
CLOCK_SETBACK_TOLERANCE = timedelta(minutes=1)
"""A note that is ahead by more than this was made by a clock that was wrong; the next start would go on only there."""
THREAD_SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread lets another one go on. The store's threads do work of microseconds that runs wait
for; with Python's usual 5 ms each of them would wait that long for the loop's thread."""
RECOVERY_CONCURRENCY_DIVISOR = 4
"""Of so many places, one is for runs that an earlier process left open: the others are for those that fall due."""
MAX_TICK_GAP = 5 * MAX_TICK_INTERVAL
"""Seconds without a tick after which health says so."""


class PortInUse(Exception):
    """The address cannot be listened on; the message says which and what to do."""


def serve(load: Callable[[str], Configuration], *, host: str | None = None, port: int | None = None) -> None:
    """Run until a signal comes. `load` gives the configuration for the sample target's URL.

    Raises:
        ConfigurationError, PortTaken, StoreError: nothing was started.
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
    """uvloop where it is there (not on Windows): half the CPU of a connection."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None


async def _serve(
    configuration: Configuration, listener: socket.socket, samples: socket.socket | None, register: ConnectionRegister
) -> None:
    with StopSignals() as signals:
        served_at = OwnEndpoint(*listener.getsockname()[:2])
        async with open_embedded_program(configuration, served_at) as opened, _serve_sample_target(samples):
            await _serve_program(opened, listener, signals, register)


@contextmanager
def open_listener(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, taken before anything else so that a second start fails at once: who connects meanwhile waits
    for the program to be ready. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two programs may bind one address until one of them listens, and of the other one that fails unseen.
            listener.listen(ACCEPT_BACKLOG)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another one with --port"
            ) from error
        listener.setblocking(False)
        yield listener


@contextmanager
def open_sample_listener() -> Iterator[socket.socket]:
    """A socket for the sample target: its usual port, or a free one when that is taken."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(open_listener("127.0.0.1", SAMPLE_PORT))
        except PortInUse:
            listener = stack.enter_context(open_listener("127.0.0.1", 0))
        yield listener


def listener_url(listener: socket.socket) -> str:
    """Where it can be asked; on loopback if it listens on every address."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def _serve_sample_target(listener: socket.socket | None) -> AsyncIterator[None]:
    """Serve the sample target while the block runs, if there is a socket for it."""
    if listener is None:
        yield
        return
    target = SampleTarget()
    server = _create_server(target.app(), ConnectionRegister(SAMPLE_TARGET_CONNECTIONS))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        target.close()
        server.stop()
        await serving


async def _serve_program(
    opened: EmbeddedProgram, listener: socket.socket, signals: StopSignals, register: ConnectionRegister
) -> None:
    program = opened.program
    recovery = RunRecovery(
        program.catalog,
        program.runs,
        program.dead_letters,
        program.worker,
        program.tracked_worker.submit,
        program.clock,
        max_concurrent_turns=max(1, program.settings.concurrency // RECOVERY_CONCURRENCY_DIVISOR),
    )
    program.health.add_probe("recovery", recovery.health)
    server = _create_server(
        LazyApi(program.services(), hosts=LOOPBACK_NAMES, on_created=freeze_long_lived_objects), register
    )
    program.health.add_probe("connections", connections_probe(register))
    ticker = await _create_ticker(program)
    program.health.add_probe("ticker", _ticker_probe(program, ticker))
    program.watchdog.set_tick_source(_last_tick_reader(ticker))
    stopping = signals.listen(program.settings.shutdown_grace)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    background = (
        # Not begun again: health tells when it ends.
        ticker.run(),
        _restart_on_failure(recovery.run),
        _restart_on_failure(partial(_prune_periodically, program)),
        _restart_on_failure(partial(_save_cursor_periodically, program, ticker)),
        _restart_on_failure(program.watchdog.run),
        _restart_on_failure(partial(_reload_jobs, opened, ticker)),
    )
    async with _background_tasks(*background):
        freeze_long_lived_objects()
        program.telemetry.service_started(host="embedded", jobs=len(program.catalog))
        _log.info("dashboard: %s/api/dashboard", listener_url(listener))
        await asyncio.to_thread(_record_address, program.settings.sqlite_path, listener_url(listener))
        await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    _log.info("%s", describe_stop(program.worker.in_progress, program.settings.shutdown_grace))
    await program.worker.drain(program.settings.shutdown_grace)
    with suppress(TimeoutError):
        async with asyncio.timeout(FINAL_CURSOR_TIMEOUT):
            await _save_tick_cursor(program, ticker)
    program.operations.runs.stop_waiting()
    server.stop()
    await serving
    program.telemetry.service_stopped(host="embedded")


class _UvicornServer(uvicorn.Server):
    """Signals are ours: work is drained before the server goes, so that health and runs can be asked meanwhile.

    It sleeps until it is told to stop, but for the date and for connections that take too long. uvicorn's own looks ten
    times a second whether it is to stop, which was most of what an idle program cost.
    """

    def __init__(self, config: uvicorn.Config, register: ConnectionRegister) -> None:
        super().__init__(config)
        self._register = register
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End it, once the answers under way are given."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # 0: the date is made anew
            self._register.check_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), SERVER_TICK_INTERVAL)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _create_server(app: Callable[..., Any], register: ConnectionRegister) -> _UvicornServer:
    protocol = cast("type[asyncio.Protocol]", partial(BoundedProtocol, register=register))
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=HTTP_SHUTDOWN_TIMEOUT,
        backlog=ACCEPT_BACKLOG,
    )
    return _UvicornServer(config, register)


@asynccontextmanager
async def _background_tasks(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Background tasks for the time of the block. One that breaks is logged and ends the others' host: see health."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_log_task_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _restart_on_failure(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Begin what broke once more after a while: of what nobody sees in health, nobody would know that it is gone."""
    while True:
        try:
            await work()
        except Exception as error:
            _log.critical("a background task broke, and is begun again in %g s", TASK_RESTART_DELAY, exc_info=error)
        await asyncio.sleep(TASK_RESTART_DELAY)


def _log_task_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a background task ended", exc_info=error)


def _record_address(store: Path | None, address: str) -> None:
    if store is not None:
        with suppress(OSError):  # then commands name the address of the settings
            write_api_address(store, address)


async def _create_ticker(program: Program) -> Ticker:
    """Goes on where the last process stopped, with the schedules that are the same since."""
    in_force_since = await program.schedule_activations.record_all(program.catalog.schedules(), program.clock.now())
    planned_until = await program.cursors.read(PLANNED_UNTIL_CURSOR)
    await program.pauses.list_active(program.clock.now())
    return Ticker(
        program.catalog,
        program.tracked_worker,
        program.clock,
        after=planned_until,
        in_force_since=in_force_since,
        pauses_at=program.pauses.list_cached,
    )


async def _reload_jobs(opened: EmbeddedProgram, ticker: Ticker) -> None:
    """Put changed job files in force, and let the ticker plan by them at once."""
    program = opened.program
    unmarked: asyncio.Queue[tuple[dict[str, Schedule | None], datetime]] = asyncio.Queue()

    def changed(before: JobSnapshot) -> None:
        ticker.tick()
        unmarked.put_nowait((program.catalog.snapshot.changed_schedules(before), program.clock.now()))

    async def mark() -> None:
        """Note since when the schedules are in force, for the next process."""
        while True:
            schedules, since = await unmarked.get()
            while not await _save_activations(program, schedules, since):
                await program.clock.sleep(ACTIVATION_RETRY_DELAY)

    async with asyncio.TaskGroup() as group:
        group.create_task(opened.job_reloader.run(changed))
        group.create_task(mark())


async def _save_activations(program: Program, schedules: dict[str, Schedule | None], since: datetime) -> bool:
    """Whether it is noted."""
    try:
        await program.schedule_activations.record_changes(schedules, since)
    except StoreError as error:
        _log.warning("since when the changed schedules are in force is not noted now: %s", error)
        return False
    return True


async def _save_cursor_periodically(program: Program, ticker: Ticker) -> None:
    """Note now and then how far the ticks are. What ran since the last note is known by its claim."""
    while True:
        await program.clock.sleep(CURSOR_SAVE_INTERVAL)
        await _save_tick_cursor(program, ticker)
        # What another process (a command) paused or resumed: the ticker itself never waits for the store.
        await program.pauses.list_active(program.clock.now())
        await program.secret_monitor.check_versions()


async def _save_tick_cursor(program: Program, ticker: Ticker) -> None:
    until = program.worker.persisted_until(ticker.last_tick)
    try:
        if await program.cursors.advance(PLANNED_UNTIL_CURSOR, until) - until > CLOCK_SETBACK_TOLERANCE:
            await program.cursors.rewind(PLANNED_UNTIL_CURSOR, until)
    except StoreError as error:
        _log.warning("how far the ticks are is not noted now: %s", error)


async def _prune_periodically(program: Program) -> None:
    kept = program.settings.retention
    while True:
        try:
            removed = await program.runs.prune(program.clock.now(), kept.age, kept.runs_per_job)
            letters = await program.dead_letters.prune(program.clock.now(), kept.age)
        except StoreError as error:
            _log.warning("old runs are not removed now: %s", error)
        else:
            if removed or letters:
                _log.info("removed %d old runs and %d old dead letters", removed, letters)
        await program.clock.sleep(RETENTION_INTERVAL)


def _last_tick_reader(ticker: Ticker) -> Callable[[], Awaitable[datetime]]:
    async def last_tick() -> datetime:
        return ticker.last_tick

    return last_tick


def _ticker_probe(program: Program, ticker: Ticker) -> HealthProbe:
    async def probe() -> Sequence[PartHealth]:
        gap = (program.clock.now() - ticker.last_tick).total_seconds()
        if gap > MAX_TICK_GAP:
            return (
                PartHealth("ticker", HealthStatus.DOWN, f"no tick for {gap:.0f} s, so no job is started: restart it"),
            )
        if (until := ticker.repeated_until(program.clock.now())) is not None:
            message = (
                f"the machine's clock was put back: until {format_instant(until)} what ran before that is not run "
                "again; look at its time synchronisation"
            )
            return (PartHealth("ticker", HealthStatus.DEGRADED, message),)
        return (PartHealth("ticker", HealthStatus.OK),)

    return probe
