"""The program of the Functions host, opened once per worker process.

The first trigger opens it, because the platform runs no start-up code of an app and sends no signal when it stops. All
functions use it on the worker's event loop. No check may request the places where the host serves the API and its
channel to the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from config.errors import ConfigurationError
from config.loading import Configuration, load_configuration
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.problems import Problem
from jobs.runs import Ticket
from scheduler.api.scopes import AUTHENTICATION_VARIABLE, serves_anonymous_functions
from scheduler.app import (
    TELEMETRY_CLOSE_TIMEOUT,
    EarlyTelemetry,
    Program,
    configure_functions_logging,
    open_program,
    start_telemetry,
)
from scheduler.app.authentication_setup import IdentityMissing, choose_functions_mode, require_identity
from scheduler.app.job_sources import open_reloader
from scheduler.app.profile import HostProfile
from scheduler.authentication.port import AuthenticationMode
from scheduler.catalog.reloading import JobReloader
from scheduler.dispatch.port import Dispatch, DispatchError, QueueDepthReader
from scheduler.dispatch.queue_names import STORAGE_PREFIX_VARIABLE, run_queue_name, run_queue_name_from
from scheduler.hosts.functions.queue import QueueHandler, open_queue, open_queue_depth
from scheduler.hosts.functions.timer import ChangedJobPlanner, TimerHandler, last_tick_reader, tick_probe
from scheduler.stores.port import StoreError
from scheduler.worker.options import FUNCTIONS_OPTIONS

ANY_ADDRESS = "0.0.0.0"
_PORT_VARIABLES = ("WEBSITES_PORT", "PORT", "ASPNETCORE_HTTP_PORTS", "FUNCTIONS_CUSTOMHANDLER_PORT")
"""Variables with a port of the Functions host, or several with semicolons between them."""
_DEFAULT_IMAGE_PORTS = (80, 8080)
"""Ports on which the images of the Functions host listen if no variable sets another one."""


def functions_endpoints(environ: Mapping[str, str], arguments: Sequence[str]) -> tuple[OwnEndpoint, ...]:
    """Return the places. `arguments`: the command line of the process, which has the port of the host's channel."""
    return tuple(OwnEndpoint(ANY_ADDRESS, port) for port in sorted(_functions_ports(environ, arguments)))


def _functions_ports(environ: Mapping[str, str], arguments: Sequence[str]) -> set[int]:
    texts = [text for variable in _PORT_VARIABLES for text in environ.get(variable, "").split(";")]
    texts += [_port_of(url) for url in environ.get("ASPNETCORE_URLS", "").split(";")]
    served = _valid_ports(texts) or set(_DEFAULT_IMAGE_PORTS)
    return served | _valid_ports(_channel_ports(arguments))


def _channel_ports(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the port of the host's channel: `--port 50051`, or `--functions-uri http://127.0.0.1:50051/`."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    for name, value in pairwise(words):
        if name == "--port":
            yield value
        elif name == "--functions-uri":
            yield _port_of(value)


def _port_of(url: str) -> str:
    """Return the port of a URL such as `http://+:8080`, whose host need not be one."""
    return url.rstrip("/").rpartition(":")[2]


def _valid_ports(texts: Sequence[str] | Iterator[str]) -> set[int]:
    found = set()
    for text in texts:
        with suppress(ValueError):
            found.add(int(text))
    return {port for port in found if 0 < port < 65536}


class FunctionsProfile(HostProfile):
    """One of many processes that share tables and a queue."""

    worker_options = FUNCTIONS_OPTIONS
    shares_queue = True

    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        return functions_endpoints(os.environ, sys.argv)

    def is_on_loopback(self, settings: Settings) -> bool:
        """Return whether only clients on this machine reach the API."""
        return False

    def authentication_mode(self, settings: Settings) -> AuthenticationMode:
        """Return where callers of the API are authenticated."""
        return choose_functions_mode(settings)

    def log_stream(self) -> None:
        """The worker's own handlers pass records on to the host."""

    async def open_queue(
        self, program: Program, submit: Callable[[Ticket], object]
    ) -> tuple[Dispatch, QueueDepthReader]:
        """Open the queue of tickets. Every ticket goes through it, also those for this process."""
        dispatch = await open_queue(program.settings, program.identity, program.clock)
        program.stack.push_async_callback(dispatch.aclose)
        depths = await open_queue_depth(program.settings, program.identity, program.clock)
        program.stack.push_async_callback(depths.aclose)
        return dispatch, depths


@dataclass(frozen=True, slots=True)
class FunctionsProgram:
    program: Program
    job_reloader: JobReloader
    timer_handler: TimerHandler
    queue_handler: QueueHandler

    async def reload_jobs(self, max_age: float, time_limit: float) -> None:
        """Put changed job files and stored jobs in force: see JobReloader.reload_within."""
        await _reload_jobs(self.program, self.job_reloader, max_age, time_limit)


async def _reload_jobs(program: Program, reloading: JobReloader, max_age: float, time_limit: float) -> None:
    await asyncio.gather(
        reloading.reload_within(max_age, time_limit),
        program.stored_job_parts.watcher.refresh_within(max_age, time_limit),
    )


@asynccontextmanager
async def open_functions_program(
    configuration: Configuration, telemetry: EarlyTelemetry
) -> AsyncIterator[FunctionsProgram]:
    """Open the program and the host's own parts; leaving closes them.

    Raises ConfigurationError: there is no identity. Raises StoreError, DispatchError.
    """
    async with AsyncExitStack() as stack:
        program = await stack.enter_async_context(open_program(configuration, FunctionsProfile(), telemetry=telemetry))
        try:
            if not is_out_of_service(os.environ):
                await require_identity(program)
        except IdentityMissing as error:
            raise ConfigurationError([Problem("http.authentication", str(error))]) from None
        await program.check_setup.prepare_jobs()
        reloading = await stack.enter_async_context(open_reloader(configuration, program))
        tick_work = _build_timer_handler(program)
        program.stored_job_parts.committer.plan_change = _build_change_planner(program).plan
        program.watchdog.set_tick_source(last_tick_reader(tick_work.planned_until))
        program.health.add_probe("ticks", tick_probe(tick_work.planned_until, program.clock))
        yield FunctionsProgram(program, reloading, tick_work, _build_queue_handler(program, reloading))


def is_out_of_service(environ: Mapping[str, str]) -> bool:
    """Return whether the timer is disabled: a release is tested here, on a separate store, which has no API key.

    Its health has to answer; every other request gets 401.
    """
    names = {name.lower().replace(".", "_"): value.strip().lower() for name, value in environ.items()}
    return names.get("azurewebjobs_tick_disabled") in ("true", "1")


def _build_timer_handler(program: Program) -> TimerHandler:
    return TimerHandler(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.repositories.cursors,
        program.repositories.schedule_activations,
        program.pauses,
        program.repositories.dead_letters,
        program.clock,
        program.prune_other_rows,
        program.telemetry.tick_planned,
    )


def _build_change_planner(program: Program) -> ChangedJobPlanner:
    return ChangedJobPlanner(
        program.catalog,
        program.dispatch,
        program.repositories.cursors,
        program.repositories.schedule_activations,
        program.pauses,
        program.clock,
    )


def _build_queue_handler(program: Program, reloading: JobReloader) -> QueueHandler:
    return QueueHandler(
        program.catalog,
        program.runs,
        program.worker,
        program.dispatch,
        program.repositories.dead_letters,
        program.clock,
        owner=program.owner,
        reload=partial(_reload_jobs, program, reloading),
    )


ROOT = Path(__file__).resolve().parents[3]

FAILURE_REUSE_TIME = 5.0
"""Seconds until the next try: soon after a file is fixed, without overloading a store that is unavailable."""

REPEAT_REPORT_INTERVAL = 60.0
"""Seconds until the same failure is reported again, so that alerts do not resolve."""

EXPECTED_START_ERRORS = (ConfigurationError, StoreError, DispatchError)
"""Errors whose message tells the operator what to fix. Any other error is a bug of the scheduler."""


class ProgramLoader:
    """Opens the program on first use. After a failure it raises the same error for a few seconds."""

    def __init__(self, environ: Mapping[str, str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._environ = environ
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._program: FunctionsProgram | None = None
        self._telemetry: EarlyTelemetry | None = None
        self._reported_reason = ""
        self._next_report_at = 0.0
        self._failure: Exception | None = None
        self._failure_valid_until = 0.0

    async def load(self) -> FunctionsProgram:
        """Return the program; open it if necessary.

        Raises:
            ConfigurationError: with every problem.
            StoreError, DispatchError: store or queue is unavailable; the message names what to check.
        """
        if self._program is not None:
            return self._program
        async with self._lock:
            if self._program is None:
                if self._failure is not None and self._monotonic() < self._failure_valid_until:
                    raise self._failure.with_traceback(None)
                self._program = await self._open()
            return self._program

    async def aclose(self) -> None:
        async with self._lock:
            self._program = self._failure = None
            await self._stack.aclose()
            if self._telemetry is not None:
                await self._telemetry.telemetry.aclose(TELEMETRY_CLOSE_TIMEOUT)
                self._telemetry = None

    async def _open(self) -> FunctionsProgram:
        # First, and from the settings that can be read: it reports an invalid configuration.
        if self._telemetry is None:
            self._telemetry = await asyncio.to_thread(self._start_telemetry)
        telemetry = self._telemetry
        try:
            # A folder on a network share may be slow to read: keep it off the event loop.
            configuration = await asyncio.to_thread(load_functions_configuration, self._environ)
            return await self._stack.enter_async_context(open_functions_program(configuration, telemetry))
        except Exception as error:
            self._report(telemetry, error)
            self._failure, self._failure_valid_until = error, self._monotonic() + FAILURE_REUSE_TIME
            raise

    def _start_telemetry(self) -> EarlyTelemetry:
        started = start_telemetry(self._environ, root=ROOT, start_level=logging.DEBUG)
        configure_functions_logging(started)
        return started

    def _report(self, started: EarlyTelemetry, error: Exception) -> None:
        """Report to the log and to the exporters, the same failure at most once a minute."""
        reason, now = str(error), self._monotonic()
        if reason == self._reported_reason and now < self._next_report_at:
            return
        self._reported_reason, self._next_report_at = reason, now + REPEAT_REPORT_INTERVAL
        trace = None if isinstance(error, EXPECTED_START_ERRORS) else error
        started.telemetry.start_failed(host="functions", reason=reason, error=trace)


def load_functions_configuration(environ: Mapping[str, str]) -> Configuration:
    """Load settings and jobs. Raises ConfigurationError, also for settings that only the embedded host allows."""
    configuration = load_configuration(environ, root=ROOT)
    settings, storage = configuration.settings, configuration.settings.storage
    if not settings.uses_azure_storage:
        message = f"{settings.store} supports one process, and the Functions host runs many"
        raise ConfigurationError([configuration.loaded.problem(("store",), message, "write azure")])
    if run_queue_name(storage.prefix) != run_queue_name_from(environ):
        message = "the queue functions read another queue: they use the variable only"
        hint = f"set {STORAGE_PREFIX_VARIABLE} to {storage.prefix}"
        raise ConfigurationError([configuration.loaded.problem(("storage", "prefix"), message, hint)])
    if (settings.http.authentication == "own") is not serves_anonymous_functions(environ):
        message = "the HTTP functions are registered by the variable only"
        hint = f"set {AUTHENTICATION_VARIABLE} to {settings.http.authentication}"
        raise ConfigurationError([configuration.loaded.problem(("http", "authentication"), message, hint)])
    if not (storage.connection_string or storage.account_name or storage.queue_url):
        # Elsewhere unresolved references only make the app unready; here it would open an account without a name.
        raise ConfigurationError(Problem("", sentence) for sentence in settings.unresolved)
    return configuration
