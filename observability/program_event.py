"""A change of incidents, jobs or the program, as an event. Made by observability.program.events."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from observability.event_fields import Fields
from observability.log_event import LogEvent

EventStatus = Literal["info", "success", "warning", "error"]
"""How a chart shows an event."""


@dataclass(frozen=True, slots=True)
class ProgramEvent(LogEvent):
    """A change that people look for in a chart. `key`: the same for events that belong together.

    `tags`: of metrics and events, bounded; `values`: all fields.
    """

    at: datetime
    name: str
    title: str
    text: str
    values: Mapping[str, object]
    key: str
    status: EventStatus = "info"
    tags: Mapping[str, str] = field(default_factory=dict)
    level: int = logging.INFO

    def fields(self) -> Fields:
        return dict(self.values)

    def __str__(self) -> str:
        return f"{self.title}: {self.text}" if self.text else self.title
