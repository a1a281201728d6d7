"""What the program reports about itself apart from its health: its exporters and its settings, as plain values.

Built by scheduler.app.health_probes; shown by scheduler.api.dashboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """A setting in force. `value`: as text; of a secret only whether it is set. `origin`: the variable or the place in
    a file. `description`: of its group, at the first setting of the group.
    """

    name: str
    value: str
    origin: str
    source: Literal["default", "file", "variable"]
    is_secret: bool = False
    description: str = ""


def _report_nothing() -> Sequence[ExporterReport]:
    return ()


def _list_nothing() -> Sequence[SettingReport]:
    return ()


@dataclass(frozen=True, slots=True)
class OwnReports:
    list_exporters: Callable[[], Sequence[ExporterReport]] = _report_nothing
    list_settings: Callable[[], Sequence[SettingReport]] = _list_nothing


NO_REPORTS = OwnReports()
