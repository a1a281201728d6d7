"""The part that runs Prometheus: it scrapes itself, and promtool judges metrics."""

from __future__ import annotations

from tests.parts.prometheus import promtool, running_prometheus


def test_a_server_starts_with_its_configuration_and_answers_queries() -> None:
    with running_prometheus({"global": {"scrape_interval": "15s"}}) as prometheus:
        assert prometheus.query("vector(7)")[0]["value"][1] == "7"
        assert prometheus.get("targets")["activeTargets"] == []


def test_promtool_reports_a_metric_without_help() -> None:
    judged = promtool("check", "metrics", stdin="# TYPE runs counter\nruns 1\n")
    assert judged.returncode == 3
    assert "no help text" in judged.stderr
