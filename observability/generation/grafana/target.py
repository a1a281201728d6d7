"""The target `grafana`. Registered in observability.generation.targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from observability.generation.core.tool import GenerationTarget
from observability.generation.grafana.api import open_grafana
from observability.generation.grafana.insights_dashboard import make_insights_dashboard
from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.grafana.prometheus_rules import make_prometheus_rules

if TYPE_CHECKING:
    from observability.generation.core.document import GeneratedDocument
    from observability.generation.core.portfolio import Portfolio


def _generate(portfolio: Portfolio) -> Sequence[GeneratedDocument]:
    return (
        make_prometheus_dashboard(portfolio),
        make_insights_dashboard(portfolio),
        make_prometheus_rules(portfolio),
    )


TARGET = GenerationTarget("grafana", _generate, open_grafana)
