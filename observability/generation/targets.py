"""The targets of `generate`, one line each. Called by scheduler.features.generation.commands.

A module is imported only for its own target: the client of a tool takes up to a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from observability.generation.document import GenerationTarget


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """`module`: has the GenerationTarget as TARGET. `summary`: what is generated, for the help."""

    module: str
    summary: str


TARGETS: Mapping[str, TargetEntry] = {
    "azure": TargetEntry("observability.generation.azure.target", "an Azure workbook and alert rules"),
    "datadog": TargetEntry("observability.generation.datadog.target", "a Datadog dashboard, monitors and SLOs"),
    "grafana": TargetEntry("observability.generation.grafana.target", "Grafana dashboards and rules for Prometheus"),
}


def load_target(name: str) -> GenerationTarget:
    """Return a target by its name. Raises KeyError."""
    return cast("GenerationTarget", import_module(TARGETS[name].module).TARGET)
