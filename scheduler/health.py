"""Health of the scheduler itself, by part, and what it reports apart from that: its exporters and its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True)
class ExporterReport:
    """An exporter of telemetry. `state`: off, on or degraded. `dropped`: lost events.

    `waiting`: requests that wait on disk until the destination answers, `waiting_bytes` in size, the oldest since
    `oldest`. `spool_problem`: why they wait in memory instead; empty if they do not.
    """

    name: str
    state: str
    last_error: str = ""
    sent: int = 0
    dropped: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    oldest: str = ""
    spool_problem: str = ""


@dataclass(frozen=True, slots=True)
class SettingReport:
    """A setting in force. `value`: as text; of a secret only whether it is set. `origin`: the argument, the variable or
    the place in a file. `description`: of its group, at the first setting of the group.
    """

    name: str
    value: str
    origin: str
    source: Literal["default", "file", "variable", "argument"]
    is_secret: bool = False
    description: str = ""


def _report_nothing() -> Sequence[ExporterReport]:
    return ()


def _list_nothing() -> Sequence[SettingReport]:
    return ()


@dataclass(frozen=True, slots=True)
class OwnReports:
    """What the program knows about its exporters and settings, for the page of health."""

    list_exporters: Callable[[], Sequence[ExporterReport]] = _report_nothing
    list_settings: Callable[[], Sequence[SettingReport]] = _list_nothing

    def with_arguments(self, arguments: Mapping[str, str]) -> OwnReports:
        """Return these reports with the settings that arguments of the command replace, by name: `{"port": "8080"}`."""

        def show(report: SettingReport) -> SettingReport:
            value = arguments.get(report.name)
            return (
                report if value is None else replace(report, value=value, origin=f"--{report.name}", source="argument")
            )

        return replace(self, list_settings=lambda: [*map(show, self.list_settings())])


NO_REPORTS = OwnReports()


PROBE_TIMEOUT = 2.0
"""Seconds for a part to answer; a health page that hangs is worse than one that reports it."""


class HealthStatus(StrEnum):
    """From best to worst. Only `down` makes the app not ready."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """A part, how it is, and, unless it is ok, what to check."""

    name: str
    status: HealthStatus
    message: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of the program and of each part. `status`: the worst of the parts."""

    status: HealthStatus
    parts: tuple[PartHealth, ...]

    @property
    def is_ready(self) -> bool:
        return self.status is not HealthStatus.DOWN


HealthProbe = Callable[[], Awaitable[Sequence[PartHealth]]]


class Health:
    """Queries every part at the same time. Parts are added by scheduler.app as it opens them.

    `own_reports`: what the program knows about its exporters and settings, set by scheduler.app.
    """

    def __init__(self) -> None:
        self.own_reports = NO_REPORTS
        self._probes: list[tuple[str, HealthProbe]] = []

    def add_probe(self, name: str, probe: HealthProbe) -> None:
        """Add a probe. `name`: of the part that is reported when the probe fails or does not return in time."""
        self._probes.append((name, probe))

    async def report(self) -> HealthReport:
        answers = await asyncio.gather(*(_run_probe(name, probe) for name, probe in self._probes))
        parts = tuple(part for answer in answers for part in answer)
        order = list(HealthStatus)
        worst = max((part.status for part in parts), key=order.index, default=HealthStatus.OK)
        return HealthReport(worst, parts)


async def _run_probe(name: str, probe: HealthProbe) -> Sequence[PartHealth]:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await probe()
    except TimeoutError:
        return (
            PartHealth(
                name,
                HealthStatus.DOWN,
                f"no answer within {PROBE_TIMEOUT:g} s: check the log, and the disk or network that it needs",
            ),
        )
    except Exception as error:
        # Whatever a probe raises is the result of its part.
        return (PartHealth(name, HealthStatus.DOWN, f"{type(error).__name__}: {error}"),)
