"""The target `datadog`. Registered in observability.generation.targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from observability.generation.core.tool import GenerationTarget
from observability.generation.datadog.api import open_datadog
from observability.generation.datadog.dashboard import make_dashboard
from observability.generation.datadog.monitors import make_monitors
from observability.generation.datadog.objectives import make_burn_rate_monitors, make_objectives

if TYPE_CHECKING:
    from observability.generation.core.document import GeneratedDocument
    from observability.generation.core.portfolio import Portfolio


def _generate(portfolio: Portfolio) -> Sequence[GeneratedDocument]:
    return (
        *make_objectives(portfolio),
        *make_monitors(portfolio),
        *make_burn_rate_monitors(portfolio),
        make_dashboard(portfolio),
    )


TARGET = GenerationTarget("datadog", _generate, open_datadog)
