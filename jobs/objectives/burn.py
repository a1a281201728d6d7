"""The windows over which burn rates are measured, and the pairs of windows of burn alerts. Pure.

Called by scheduler.queries.objectives.reader and scheduler.cli.commands.slo.texts. The pairs are those of
https://sre.google/workbook/alerting-on-slos/, section 6.
"""

from __future__ import annotations

from datetime import timedelta

from jobs.fast_frozen import fast_frozen
from jobs.objectives.budget import error_ratio_of


@fast_frozen(frozen=True, slots=True)
class BurnPair:
    """Both burn rates must be above `factor`: the short window ends an alert soon after the trouble has ended."""

    factor: float
    long: timedelta
    short: timedelta
    is_page: bool
    """Whether it is urgent: else a ticket is enough."""


BURN_PAIRS = (
    BurnPair(14.4, timedelta(hours=1), timedelta(minutes=5), True),
    BurnPair(6, timedelta(hours=6), timedelta(minutes=30), True),
    BurnPair(3, timedelta(days=1), timedelta(hours=2), False),
    BurnPair(1, timedelta(days=3), timedelta(hours=6), False),
)
BURN_WINDOWS = tuple(sorted({window for pair in BURN_PAIRS for window in (pair.long, pair.short)}))
"""The shortest first."""
PRESENT_WINDOW = timedelta(hours=1)
"""The window of the present burn rate, by which the time to exhaustion is computed."""


def list_possible_pairs(target: float) -> tuple[BurnPair, ...]:
    """Return the pairs whose factor is below the burn rate at which every run is bad."""
    return tuple(pair for pair in BURN_PAIRS if pair.factor < 1 / error_ratio_of(target))
