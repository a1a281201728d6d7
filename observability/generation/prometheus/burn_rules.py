"""Burn alerts of objectives as alerting rules of Prometheus, from the series `scheduler_slo_*`. Pure.

The same conditions as those of jobs.alerting.conditions.burn_rate, with equal numbers: the increase of a window is the
difference of a counter now and at its beginning. `increase()` extrapolates, so that 2 bad runs are 2.03
(docs/decisions/0040-burn-alerts-subtract-counters.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.formats.durations import format_duration
from jobs.objectives import BurnPair, error_ratio_of, list_possible_pairs
from observability.names import series

BURN_ALERT = "SchedulerErrorBudgetBurns"
RULE_GROUP = "scheduler-slo-burn"
_BY = "max by (slo, job_name)"
"""Instances export the same counters; of several, one alert fires."""


@dataclass(frozen=True, slots=True)
class BurnObjective:
    """An objective that counts runs. `name`: the label `slo` of its series. `target`: percent."""

    name: str
    target: float
    minimum_bad_runs: int = 2


def make_burn_rules(objectives: Iterable[BurnObjective]) -> list[dict[str, Any]]:
    """Return a rule for each objective and pair of windows that can be exceeded."""
    return [_make_rule(each, pair) for each in objectives for pair in list_possible_pairs(each.target)]


def make_burn_group(objectives: Sequence[BurnObjective]) -> dict[str, Any]:
    """Return the group of a rule file. Prometheus refuses one without rules: see `make_burn_rules`."""
    return {"name": RULE_GROUP, "rules": make_burn_rules(objectives)}


def _make_rule(objective: BurnObjective, pair: BurnPair) -> dict[str, Any]:
    long, short = (format_duration(each.total_seconds()) for each in (pair.long, pair.short))
    return {
        "alert": BURN_ALERT,
        "expr": make_burn_expression(objective, pair),
        "labels": {
            "slo": objective.name,
            "severity": "page" if pair.is_page else "ticket",
            "long_window": long,
        },
        "annotations": {
            "summary": f"{objective.name} consumes its error budget {{{{ $value | humanize }}}} times too fast",
            "description": (
                f"The burn rate is above {pair.factor:g} in the last {long} and in the last {short}, for the target "
                f"{objective.target:g}%. The command `slo show {objective.name}` has the budget that is left."
            ),
        },
    }


def make_burn_expression(objective: BurnObjective, pair: BurnPair) -> str:
    """Return an expression whose value is the burn rate of the long window while the alert fires."""
    long, short = (format_duration(each.total_seconds()) for each in (pair.long, pair.short))
    return (
        f"{_burn_rate(objective, long)} > {pair.factor:g}\n"
        f"and {_burn_rate(objective, short)} > {pair.factor:g}\n"
        f"and {_increase(series.SLO_BAD_RUNS.name, objective.name, long)} >= {objective.minimum_bad_runs}"
    )


def _burn_rate(objective: BurnObjective, window: str) -> str:
    bad = _increase(series.SLO_BAD_RUNS.name, objective.name, window)
    valid = _increase(series.SLO_VALID_RUNS.name, objective.name, window)
    return f"({bad} / {valid}) / {error_ratio_of(objective.target)!r}"


def _increase(metric: str, slo: str, window: str) -> str:
    """Return the increase of a counter in a window.

    Without a value at its begin, or after a reset, it is that since the first value in the window.
    """
    selector = f'{metric}{{slo="{slo}"}}'
    now, before = f"{_BY} ({selector})", f"{_BY} ({selector} offset {window})"
    first = f"{_BY} (min_over_time({selector}[{window}]))"
    return f"({now} - ({before} <= {now} or {first}))"
