"""Publishes events of the scheduler itself: to the log, and to the exporters. The base of telemetry."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime

from observability import names
from observability.events import LogLine, ServiceEvent, TelemetryEvent
from observability.log_event import LogEvent
from observability.program_event import ProgramEvent

_service_log = logging.getLogger("scheduler.service")


class ServicePublisher(ABC):
    """No method waits or raises."""

    def __init__(self, environment: str, version: str) -> None:
        self._environment = environment
        self._version = version

    def service_started(self, *, host: str, jobs: int) -> None:
        """The scheduler is ready. `host`: embedded or functions; `jobs`: how many are in force."""
        self._publish_service_event(
            names.SERVICE_STARTED, f"scheduler started with {jobs} jobs", {names.HOST: host, names.JOBS: jobs}
        )

    def dashboard_served(self, url: str) -> None:
        """The start is complete: the dashboard is at this URL."""
        self._publish_service_event(names.SERVICE_ADDRESS, f"Dashboard: {url}", {names.ADDRESS: url})

    def start_failed(self, *, host: str, reason: str, error: Exception | None = None, to_log: bool = True) -> None:
        """The scheduler cannot start. `reason`: sentences; `error`: to be reported with its traceback."""
        values = self._service_values({names.HOST: host})
        sentence = f"the scheduler cannot start, nothing runs:\n{reason}"
        event = ServiceEvent(names.SERVICE_FAILED, sentence, values, logging.ERROR)
        if to_log:
            _service_log.error(event, exc_info=error)
        exc_info = (type(error), error, error.__traceback__) if error is not None else None
        now = datetime.now(UTC)
        self._offer(
            LogLine(now, event.level, _service_log.name, sentence, event.name, event.fields(), exc_info=exc_info)
        )

    def service_stopped(self, *, host: str) -> None:
        """The scheduler has ended its runs."""
        self._publish_service_event(names.SERVICE_STOPPED, "scheduler stopped", {names.HOST: host})

    def audit_head(self, sequence: int, digest: str, count: int) -> None:
        """Publish the last entry of the audit trail, as an anchor for its verification."""
        self._publish_service_event(
            names.AUDIT_HEAD,
            f"audit trail: the last of {count} entries is {sequence}:{digest}",
            {names.AUDIT_SEQUENCE: sequence, names.AUDIT_HASH: digest, names.AUDIT_ENTRIES: count},
        )

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        """Publish that a part of health (`jobs`, `queue`, `secrets`) is unhealthy, or is healthy again."""
        self._publish_service_event(
            names.WATCHDOG, message, {names.PART: part}, logging.INFO if well else logging.WARNING
        )

    @abstractmethod
    def _log_event(self, event: LogEvent, log: logging.Logger) -> None: ...

    @abstractmethod
    def _offer(self, event: TelemetryEvent) -> None: ...

    def _publish_service_event(
        self, name: str, sentence: str, values: dict[str, object], level: int = logging.INFO
    ) -> None:
        event = ServiceEvent(name, sentence, self._service_values(values), level)
        self._log_event(event, _service_log)
        self._offer(
            LogLine(datetime.now(UTC), event.level, _service_log.name, event.sentence, event.name, event.fields())
        )

    def _publish_program_event(self, event: ProgramEvent) -> None:
        complete = replace(event, values=self._service_values(dict(event.values)))
        self._log_event(complete, _service_log)
        self._offer(complete)

    def _service_values(self, values: dict[str, object]) -> dict[str, object]:
        return {**values, names.ENVIRONMENT: self._environment, names.VERSION: self._version}
