"""An explanation says in English why an alert did or did not notify."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import Silence
from scheduler.alerting.replay.history import JobHistory, ReplayDefinitions
from scheduler.catalog.catalog import Catalog
from scheduler.features.alerts.commands import describe_explanation
from scheduler.features.alerts.explainer import AlertExplainer, build_alert_explainer
from scheduler.features.alerts.models import AlertExplanationModel
from scheduler.features.backtest.service import build_backtester
from scheduler.stores.gates import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.backtest.stored_time import StoredTime
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, history_of_letters

END = START + 12 * MINUTE


async def explain(
    definitions: ReplayDefinitions, histories: Sequence[JobHistory], job: str, at: datetime | None = None
) -> AlertExplanationModel:
    time = StoredTime(definitions, histories)
    await time.run(END)
    return await explainer_of(time).explain(job, at)


def explainer_of(time: StoredTime) -> AlertExplainer:
    catalog = Catalog(time.definitions.book.snapshot)
    runs, stored = Runs(time.store), Repositories(time.store)
    return build_alert_explainer(
        catalog, runs, Pauses(time.store), stored, time.live.clock, build_backtester(runs, stored)
    )


def silence_of(begin: datetime, end: datetime, **select: Any) -> SuppressionSet:
    silence = Silence(
        id="deploy", select=select, starts_at=begin, ends_at=end, author="anna", created_at=begin, reason="release 42"
    )
    return SuppressionSet(silences=(silence,))


async def test_an_open_incident_names_its_evidence_and_who_was_notified() -> None:
    definitions = definitions_of({"a": {"alerts": [{"open_after": "2 of 3"}]}})
    found = await explain(definitions, [history_of_letters("a", "SFFFFFFFFFF")], "a")
    assert found.summary.startswith(
        "a fails since 03:01:03: 2 of the last 3 runs failed: connection refused (incident 17"
    )
    assert found.summary.endswith(", notified mail at 03:02:13).")
    assert found.rules[0].rule == "failed: failed, open_after 2 of 3, severity down"
    assert found.rules[0].routing == "notifies mail by route 1 (route 1: matched)"
    assert found.origin == "alerts of the job (jobs.yaml:1)"
    assert not found.reasons


async def test_too_few_failed_runs() -> None:
    found = await explain(
        definitions_of({"a": {"alerts": [{"open_after": "3 of 5"}]}}), [history_of_letters("a", "SSSSFSFS")], "a"
    )
    expected = "failed: 2 of the last 5 are bad, 3 of 5 are needed (2 of the last 5 runs failed: connection refused"
    assert found.summary.startswith("a has no alert at 2026-03-01 03:12:00 UTC: " + expected)


async def test_a_silence_with_its_counterfactual() -> None:
    suppressions = silence_of(START, START + 180 * MINUTE, jobs=["a"])
    definitions = definitions_of({"a": {"alerts": [{"open_after": "3 of 5"}]}}, suppressions=suppressions)
    found = await explain(definitions, [history_of_letters("a", "FFFFFFFFFFFF")], "a")
    reason = "the silence of a holds back failed until 2026-03-01 06:00 UTC (release 42)"
    assert f". Not notified: {reason}" in found.summary
    assert found.counterfactuals == [
        "silent until 06:00:00 UTC (silence of a); without that it would have opened at 03:02:13 UTC and notified "
        "mail: the last 3 runs failed: connection refused"
    ]


async def test_an_instant_of_the_past_is_explained_as_it_was_then() -> None:
    definitions = definitions_of({"a": {"alerts": [{"open_after": 2}]}})
    histories = [history_of_letters("a", "SSFFSSSSSSSS")]
    before = await explain(definitions, histories, "a", START + 2 * MINUTE + MINUTE / 2)
    assert "failed: 1 in a row is bad, 2 are needed" in before.reasons[0]
    during = await explain(definitions, histories, "a", START + 3 * MINUTE + MINUTE / 2)
    assert during.rules[0].status == "firing"
    assert during.summary.endswith("notified mail at 03:03:13).")
    after = await explain(definitions, histories, "a")
    assert after.summary.startswith("a has no alert at")
    assert any("has recovered" in line for line in after.incidents[0].lines)


async def test_all_jobs_behind_a_parent() -> None:
    child = {"alerts": [{}], "alert_parent": "router"}
    jobs: dict[str, dict[str, Any]] = {f"job-{number}": child for number in range(9)}
    jobs["router"] = {"alerts": [{"open_after": 1}]}
    histories = [history_of_letters(name, "SSFFFFFFFFFF", 2 if name == "router" else 5) for name in jobs]
    time = StoredTime(definitions_of(jobs), histories)
    await time.run(END)
    explainer = explainer_of(time)
    for number in range(9):
        found = await explainer.explain(f"job-{number}")
        expected = (
            f"job-{number} fails since 03:02:05 and is not notified separately: its parent router fails since 03:02:02 "
            f"(incident {found.incidents[0].id}, notified mail at 03:02:12)."
        )
        assert found.summary == expected
        assert found.counterfactuals[0] == (
            "without the parent router it would have joined the incident of router because of the same host 127.0.0.1 "
            "at 03:04:05 UTC and notified mail"
        )
        lines = "\n".join(describe_explanation(found))
        assert f"router, on which job-{number} depends, fails: no separate notification" in lines
        assert all(f"job-{other}" not in lines for other in range(9) if other != number)


async def test_why_a_job_has_no_alert() -> None:
    rules: dict[str, Any] = {"alerts": [{}]}
    jobs = {"none": {}, "empty": {"alerts": []}, "off": {**rules, "enabled": False}, "unrouted": rules}
    time = StoredTime(definitions_of(jobs, routes=()), [history_of_letters(name, "SSS-") for name in jobs])
    await time.run(START + 5 * MINUTE)
    explainer = explainer_of(time)
    none = await explainer.explain("none")
    assert none.summary.endswith("the job has no alert rule.")
    assert none.origin == "none: the job has no alerts (jobs.yaml:1), and no file has alerting.rules"
    assert (await explainer.explain("empty")).origin == "none: alerts is empty (jobs.yaml:1)"
    assert "the job is disabled" in (await explainer.explain("off")).summary
    unrouted = await explainer.explain("unrouted")
    assert unrouted.reasons[0].startswith("the newest run (03:03:00) was skipped and does not count")
    assert "no channel would be notified: the rule names no channel, and there are no routes" in unrouted.reasons[-1]
