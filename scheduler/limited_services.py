"""The services of a caller that is limited to tags: those of the program with another catalog. Made by Services."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from scheduler.catalog.limited import LimitedCatalog, limit_part
from scheduler.operations import Operations


class LimitedServices:
    """The parts of others with another catalog, copied on their first use."""

    is_limited = True

    def __init__(self, whole: Any, catalog: LimitedCatalog) -> None:
        self._whole = whole
        self.catalog = catalog

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._whole, name)
        limited = self._limit_operations(part) if isinstance(part, Operations) else limit_part(part, self.catalog)
        self.__dict__[name] = limited
        return limited

    def _limit_operations(self, whole: Operations) -> Operations:
        parts = {each.name: limit_part(getattr(whole, each.name), self.catalog) for each in fields(Operations)}
        return Operations(**parts)
