"""The queries of the dashboard on a Prometheus that scraped the page of the program."""

from __future__ import annotations

from dataclasses import replace

from jobs.runs import Outcome
from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.portfolio import Portfolio, PortfolioJob
from observability.generation.prometheus import make_prometheus_rules
from tests.observability.generation.grafana.portfolios import serve_page
from tests.observability.generation.grafana.test_prometheus import fill_in
from tests.parts.prometheus import running_prometheus
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

JOBS = [entry("checkout", tags={"team": "shop"}), entry("search")]
PORTFOLIO = Portfolio(
    tuple(PortfolioJob(job.job.name, "http", groups=("shop",)) for job in JOBS), exported_tags=("team",)
)

WITHOUT_SERIES = {
    "Tick lag",  # nothing ticks in this program
    "Tick lag and age of the queue",
    "Open incidents",  # by severity, absent without any
    "Open circuits",  # those that jobs share
    "Certificates",  # the target has none
}


async def render_pages() -> list[str]:
    """The page as it is after each of some runs."""
    pages = []
    async with ApiClient(jobs=JOBS) as client:
        for second in range(-60, 0, 10):
            for job in ("checkout", "search"):
                ticket = client.shop.ticket(second, job)
                outcome = Outcome.FAILED if second == -30 else Outcome.SUCCEEDED
                await client.store_finished(ticket, replace(run_of(ticket), outcome=outcome))
            pages.append((await client.get("/api/metrics")).text)
    return pages


async def test_every_query_runs_and_returns_a_series() -> None:
    pages = await render_pages()
    dashboard = make_prometheus_dashboard(PORTFOLIO).value
    panels = [panel for panel in dashboard["panels"] if panel.get("targets")]
    with serve_page(lambda number: pages[min(number, len(pages)) - 1]) as port:
        config = {
            "global": {"scrape_interval": "100ms", "scrape_timeout": "100ms", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": "scheduler", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            "rule_files": ["rules.yaml"],
        }
        with running_prometheus(config, {"rules.yaml": make_prometheus_rules(PORTFOLIO).render()}) as prometheus:
            prometheus.wait_for(f"sum(scheduler_job_runs_total) == {2 * len(pages)}")
            empty = {
                panel["title"]
                for panel in panels
                for target in panel["targets"]
                if not prometheus.query(fill_in(target["expr"]))
            }
            rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert empty <= WITHOUT_SERIES
