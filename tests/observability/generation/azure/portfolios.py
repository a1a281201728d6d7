"""Portfolios for the tests of what is generated for Azure."""

from __future__ import annotations

from observability.generation.portfolio import Portfolio, PortfolioJob, PortfolioObjective

HOSTILE = "it's \"quoted\" \\ {Job} | take 0 // ]\n[parameters('x')]"


def job(
    name: str,
    interval_s: float | None = 60.0,
    *,
    groups: tuple[str, ...] = (),
    objective: PortfolioObjective | None = None,
    **tags: str,
) -> PortfolioJob:
    return PortfolioJob(
        name, "http", tags=tags, groups=groups, interval_s=interval_s, owner=tags.get("team", ""), objective=objective
    )


SHOP = Portfolio(
    jobs=(
        job("checkout", groups=("payments",), objective=PortfolioObjective(99.9, 30), team="payments"),
        job("invoices", 3600.0, groups=("payments",), team="payments"),
        job("nightly", 86400.0, objective=PortfolioObjective(99.0, 30, "time")),
        job("on-demand", None, team=HOSTILE),
    ),
    environment="prod",
    service="shop",
)
