"""The part of pydantic-settings that 0.1.0 uses, which later versions do not depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

SettingsConfigDict = ConfigDict


class PydanticBaseSettingsSource:
    """A source of values, called without arguments."""

    def __init__(self, settings_class: type[BaseModel]) -> None:
        """Accept the class, which the sources of 0.1.0 do not read."""


class BaseSettings(BaseModel):
    """A model of merged sources, the strongest first."""

    def __init__(self, _build_sources: tuple[tuple[Any, ...], Any] = ((), None), **values: Any) -> None:
        for source in _build_sources[0]:
            values = _merge(source(), values)
        super().__init__(**values)


def _merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**weaker, **stronger}
    for key in weaker.keys() & stronger.keys():
        if isinstance(weaker[key], Mapping) and isinstance(stronger[key], Mapping):
            merged[key] = _merge(weaker[key], stronger[key])
    return merged
