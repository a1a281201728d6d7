"""The base of all structured log lines. Used by observability.events."""

from __future__ import annotations

from abc import ABC, abstractmethod

from observability.event_fields import Fields


class LogEvent(ABC):
    """A log line with a name and fields; its `str` is the message."""

    __slots__ = ()
    name: str
    level: int

    @abstractmethod
    def fields(self) -> Fields: ...

    @abstractmethod
    def __str__(self) -> str: ...
