"""The commands `generate`, with a Grafana in memory on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from observability.generation.targets import TARGETS
from tests.parts.grafana import Grafana, running_grafana
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

JOB = {"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}}


@pytest.fixture
def out(job_folder: Path, tmp_path: Path) -> Path:
    write_jobs(job_folder, checkout=JOB)
    return tmp_path / "out"


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grafana]:
    with running_grafana() as running:
        monkeypatch.setenv("GRAFANA_URL", running.url)
        monkeypatch.setenv("GRAFANA_TOKEN", running.token)
        yield running


def dashboard(grafana: Grafana) -> dict[str, object]:
    return next(one for uid, one in grafana.dashboards.items() if uid.startswith("scheduler-prometheus-"))


def test_a_second_run_writes_nothing_and_check_finds_an_outdated_file(out: Path) -> None:
    first, second = invoke("generate", "grafana", "--out", str(out)), invoke("generate", "grafana", "--out", str(out))
    assert (first.code, "written\t" in first.stdout) == (0, True)
    assert (second.code, second.stdout) == (0, "")
    assert invoke("generate", "grafana", "--out", str(out), "--check").code == 0
    (out / "grafana" / "dashboards" / "prometheus.json").write_text("{}")
    check = invoke("generate", "grafana", "--out", str(out), "--check")
    assert (check.code, "outdated\t" in check.stdout) == (1, True)


def test_an_invalid_job_file_ends_it_and_nothing_is_written(out: Path, job_folder: Path) -> None:
    (job_folder / "jobs.json").write_text('{"jobs": ')
    assert invoke("generate", "grafana", "--out", str(out)).code == 2
    assert not out.exists()


def test_apply_is_idempotent(out: Path, grafana: Grafana) -> None:
    first, second = apply(out), apply(out)
    assert (first.code, "created\tdashboards/prometheus.json" in first.stdout) == (0, True)
    assert (second.code, "unchanged\tdashboards/prometheus.json" in second.stdout) == (0, True)
    assert len(grafana.saved) == len(grafana.dashboards)
    assert list(grafana.folders) == ["scheduler"]


def apply(out: Path, *options: str):  # type: ignore[no-untyped-def]
    return invoke("generate", "apply", "grafana", "--out", str(out), *options)


def drift(out: Path, *options: str):  # type: ignore[no-untyped-def]
    return invoke("generate", "drift", "grafana", "--out", str(out), *options)


def test_a_change_by_hand_is_drift_and_is_kept(out: Path, grafana: Grafana) -> None:
    apply(out)
    assert drift(out).code == 0
    dashboard(grafana)["refresh"] = "5s"
    found = drift(out)
    assert (found.code, found.lines[1]) == (1, 'dashboards/prometheus.json\t/refresh\t"1m"\t"5s"')
    (document, *_) = [one for one in json.loads(drift(out, "--json").stdout)["documents"] if one["differences"]]
    assert document["differences"] == [{"pointer": "/refresh", "before": "1m", "after": "5s"}]
    assert apply(out).code == 0
    assert dashboard(grafana)["refresh"] == "5s"


def test_a_new_job_of_a_group_is_in_the_dashboard_at_the_next_apply(
    out: Path, grafana: Grafana, job_folder: Path
) -> None:
    groups = {"alerting": {"groups": {"shop": {"jobs": {"jobs": "*"}, "down_when": {"share": "50%"}}}}}
    (job_folder / "groups.json").write_text(json.dumps(groups))
    apply(out)
    dashboard(grafana)["title"] = "Mine"
    write_jobs(job_folder, checkout=JOB, basket=JOB)
    planned = apply(out, "--dry-run")
    assert (planned.code, "updated\tdashboards/prometheus.json" in planned.stdout) == (3, True)
    assert apply(out).code == 0
    assert 'job_name=~\\"basket|checkout\\"' in json.dumps(dashboard(grafana))
    assert dashboard(grafana)["title"] == "Mine"


def test_a_conflict_is_reported_and_ends_with_1(out: Path, grafana: Grafana, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(out)
    uid = next(uid for uid in grafana.dashboards if uid.startswith("scheduler-prometheus-"))
    record = next(path for path in (out / "applied" / "grafana").rglob("prometheus.json"))
    record.write_text(record.read_text().replace('"refresh": "1m"', '"refresh": "10m"'))
    grafana.dashboards[uid]["refresh"] = "5s"
    found = apply(out)
    assert found.code == 1
    assert 'dashboards/prometheus.json/refresh: retained "5s", which was set by hand; generated is "1m"' in found.stderr
    assert apply(out, "--overwrite").code == 0
    assert grafana.dashboards[uid]["refresh"] == "1m"


def test_drift_without_an_apply_says_so(out: Path, grafana: Grafana) -> None:
    found = drift(out)
    assert (found.code, found.stdout, found.stderr) == (0, "", "no document is applied\n")


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "set GRAFANA_TOKEN"),
        (403, "role Editor"),
        (412, "a person saved it meanwhile"),
        (429, "apply again in 7 s"),
    ],
)
def test_a_refusal_names_the_fix_and_never_the_token(out: Path, grafana: Grafana, status: int, fix: str) -> None:
    grafana.answer_with = status
    found = apply(out)
    assert (found.code, fix in found.stderr) == (1, True)
    assert grafana.token not in found.stdout + found.stderr


def test_drift_of_an_unavailable_tool_ends_with_2(out: Path, grafana: Grafana) -> None:
    apply(out)
    grafana.answer_with = 503
    assert drift(out).code == 2


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_writes_the_same_files_each_time(target: str, out: Path) -> None:
    assert invoke("generate", target, "--out", str(out)).code == 0
    check = invoke("generate", target, "--out", str(out), "--check")
    assert (check.code, check.stdout) == (0, "")


def test_stored_jobs_can_be_added(out: Path) -> None:
    assert invoke("generate", "grafana", "--out", str(out), "--stored").code == 0


def test_missing_variables_are_named(out: Path) -> None:
    found = apply(out)
    assert (found.code, "GRAFANA_URL and GRAFANA_TOKEN must be set" in found.stderr) == (1, True)
    assert "expected one of" in invoke("generate", "apply", "splunk", "--out", str(out)).stderr
