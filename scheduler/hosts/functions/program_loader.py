"""Opens the program once for the worker process. Used by triggers.

It is opened by the first trigger, as the platform runs no start-up code of ours (and gives no signal at the end), and
used by all functions on the worker's one event loop.
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
"""Seconds until opening is tried again: soon enough for who mends a file, and no storm on a store that is away."""

REPEAT_REPORT_INTERVAL = 60.0
"""Seconds after which the same failure is reported again, so that alerts see that it lasts."""

EXPECTED_START_ERRORS = (ConfigurationError, StoreError, DispatchError)
"""What may keep the program from opening; the message says what to mend. All else is a mistake of the program."""


class ProgramLoader:
    """Not open, open, or closed for a few seconds after a failure."""

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
        """The program, opened if it is not. A failure is raised again to all who ask within the next seconds.

        Raises:
            ConfigurationError: with every problem.
            StoreError, DispatchError: state or queue is away; the message says what to look at.
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
        # First, from what can be read of the settings: a configuration that is wrong is reported by it.
        if self._telemetry is None:
            self._telemetry = await asyncio.to_thread(self._start_telemetry)
        telemetry = self._telemetry
        try:
            # Reading files is quick, yet a folder on a share may not be: keep it off the loop.
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
        """To the log and to the exporters; the same failure again only after a while."""
        reason, now = str(error), self._monotonic()
        if reason == self._reported_reason and now < self._next_report_at:
            return
        self._reported_reason, self._next_report_at = reason, now + REPEAT_REPORT_INTERVAL
        trace = None if isinstance(error, EXPECTED_START_ERRORS) else error
        started.telemetry.start_failed(host="functions", reason=reason, error=trace)


def load_functions_configuration(environ: Mapping[str, str]) -> Configuration:
    """Settings and jobs. Raises ConfigurationError, also for what is right elsewhere but not in the Functions host."""
    configuration = load_configuration(environ, root=ROOT)
    settings, storage = configuration.settings, configuration.settings.storage
    if not settings.uses_azure_storage:
        message = f"{settings.store} belongs to one process, and the Functions host runs many"
        raise ConfigurationError([configuration.loaded.problem(("store",), message, "write azure")])
    if run_queue_name(storage.prefix) != run_queue_name_from(environ):
        message = "the queue functions listen to another queue, as they know only the variable"
        hint = f"set {STORAGE_PREFIX_VARIABLE} to {storage.prefix}"
        raise ConfigurationError([configuration.loaded.problem(("storage", "prefix"), message, hint)])
    if not (storage.connection_string or storage.account_name or storage.queue_url):
        # Without this they only make the app unready: it would try to open an account without a name.
        raise ConfigurationError(Problem("", sentence) for sentence in settings.unresolved)
    return configuration
