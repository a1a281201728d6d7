"""Opens the program once per worker process. Used by triggers.

The first trigger opens it, because the platform runs no start-up code of an app and sends no signal when it stops. All
functions use it on the worker's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from config.errors import ConfigurationError
from config.loading import Configuration, load_configuration
from jobs.problems import Problem
from scheduler.api.scopes import AUTHENTICATION_VARIABLE, serves_anonymous_functions
from scheduler.app import (
    TELEMETRY_CLOSE_TIMEOUT,
    EarlyTelemetry,
    configure_functions_logging,
    start_telemetry,
)
from scheduler.dispatch.port import DispatchError
from scheduler.dispatch.queue_names import STORAGE_PREFIX_VARIABLE, run_queue_name, run_queue_name_from
from scheduler.hosts.functions.program import FunctionsProgram, open_functions_program
from scheduler.stores.port import StoreError

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
