"""The alert of a job that is down, in promtool: a control plane that is silent meanwhile does not end it."""

from __future__ import annotations

import json
from pathlib import Path

from observability.generation.prometheus import make_prometheus_rules
from tests.observability.generation.grafana.portfolios import PORTFOLIO
from tests.parts.prometheus import promtool


def test_the_alert_fires_until_the_job_is_up_again_also_while_its_state_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(make_prometheus_rules(PORTFOLIO).render())
    job = '{job_name="checkout",instance="one"}'
    labels = {"alertname": "SchedulerJobDown", "job_name": "checkout", "severity": "critical", "tag_team": "shop"}
    fires = {"exp_labels": labels, "exp_annotations": {"summary": "checkout is down"}}
    states = [("30m", 1), ("50m", 0), ("2m", 0), ("20m", 1)]
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"scheduler_job_up{job}", "values": "1 0x20 _x20 1x20"},
            {"series": f"scheduler_job_unknown{job}", "values": "0x20 1x20 0x20"},
            {"series": 'scheduler_job_info{job_name="checkout",kind="http",tag_team="shop"}', "values": "1x70"},
        ],
        "alert_rule_test": [
            {"alertname": "SchedulerJobDown", "eval_time": at, "exp_alerts": [fires] * count} for at, count in states
        ],
    }
    whole = {"rule_files": ["rules.yaml"], "tests": [test]}
    (tmp_path / "test.json").write_text(json.dumps(whole))
    tested = promtool("test", "rules", str(tmp_path / "test.json"))
    assert tested.returncode == 0, tested.stderr + tested.stdout
