"""The evaluator over a memory store: when alerts fire and resolve after runs, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from jobs.alerting.alert import AlertStatus
from jobs.runs import Trigger
from jobs.runs.outcomes import ReasonCode
from scheduler.alerting.evaluation.history import MAX_UNKNOWN
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.gates import Pause
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.pages import RunPage
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, EvaluatorWorld, run_of
from tests.scheduler.fakes import entry

OF_5 = {"open_after": "3 of 5"}


def job_of(*rules: object, name: str = "checkout", **more: object) -> CatalogJob:
    return entry(name, "every 1m", alerts=list(rules), **more)


async def test_a_healthy_job_costs_no_request() -> None:
    world = EvaluatorWorld(job_of(OF_5))
    await world.tick()
    before = world.process.store.reads, world.runs.reads

    assert not any(await world.run("checkout", "SSDS-SS"))

    assert (world.process.store.reads, world.runs.reads) == before
    assert not world.alerts


async def test_3_of_5_fires_with_its_evidence_and_the_first_failure() -> None:
    world = EvaluatorWorld(job_of(OF_5))

    await world.run("checkout", "SSFSF")
    assert not world.alerts
    await world.run("checkout", "F")

    alert = world.alert("checkout")
    assert alert.is_firing
    assert alert.failing_since == START + 2 * MINUTE + timedelta(seconds=1)
    assert alert.evidence == "3 of the last 5 runs failed: Expected status 200, got 503"
    assert alert.causes == ("host 127.0.0.1",)
    assert world.changes == 1


async def test_it_resolves_when_the_window_has_fewer_failures_and_the_latest_run_is_good() -> None:
    world = EvaluatorWorld(job_of(OF_5))
    await world.run("checkout", "FFFSS")
    assert world.alert("checkout").is_firing

    await world.run("checkout", "S")

    assert world.alert("checkout").status is AlertStatus.RESOLVED


async def test_close_after_requires_good_runs_in_a_row() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2, "close_after": 3}))
    await world.run("checkout", "FFSSFSS")
    assert world.alert("checkout").is_firing

    await world.run("checkout", "S")

    assert not world.alert("checkout").is_active


@pytest.mark.parametrize("letter", ["-", "B", "U"])
async def test_runs_that_take_no_place_do_not_close_an_alert(letter: str) -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", f"F{letter}F{letter * 3}")

    assert world.alert("checkout").is_firing


async def test_an_unknown_run_is_counted_by_its_own_rule_only() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}, {"when": "unknown", "open_after": 2}))
    await world.run("checkout", "FUFU")
    assert world.alert("checkout").is_firing
    assert not world.alert("checkout", "unknown").is_active

    await world.run("checkout", "U" * 250)
    assert world.alert("checkout").is_firing
    assert world.alert("checkout", "unknown").evidence.endswith("were unknown: 403 for /queues/orders: grant Reader")

    await world.run("checkout", "S")
    assert not any(alert.is_active for alert in world.alerts.values())


async def test_a_target_that_stays_unknown_costs_few_reads() -> None:
    world = EvaluatorWorld(job_of({"open_after": 3}, {"when": "unknown"}), processes=2)
    await world.run("checkout", "U" * 600)
    world.runs.reads = 0
    await world.run("checkout", "U")
    assert world.runs.reads <= 2 * (MAX_UNKNOWN // 50 + 2)


async def test_a_rejected_run_counts_as_failed() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "FR")
    assert world.alert("checkout").is_firing


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.BACKFILL, Trigger.REPLAY])
async def test_runs_that_people_request_neither_open_nor_close(trigger: Trigger) -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "FFFF", trigger=trigger)
    assert not world.alerts

    await world.run("checkout", "FF")
    await world.run("checkout", "SSS", trigger=trigger)
    assert world.alert("checkout").is_firing


async def test_a_rule_may_name_other_triggers_than_another_rule() -> None:
    rules = {"open_after": 2}, {"name": "requested", "open_after": 2, "triggers": ["manual"]}
    world = EvaluatorWorld(job_of(*rules))
    await world.run("checkout", "FF", trigger=Trigger.MANUAL)
    assert [key.rule for key in world.alerts] == ["requested"]

    await world.run("checkout", "S" * 60)
    await world.run("checkout", "FF")

    assert world.alert("checkout").is_firing
    assert world.alert("checkout", "requested").is_firing


async def test_for_fires_by_the_tick_between_runs() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1, "for": "5m"}))
    await world.run("checkout", "F")
    assert world.alert("checkout").status is AlertStatus.PENDING

    await world.tick(299)
    assert world.alert("checkout").status is AlertStatus.PENDING
    await world.tick(1)

    assert world.alert("checkout").is_firing
    assert world.changes == 2


async def test_a_pending_alert_ends_without_a_trace() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1, "for": "5m"}))
    await world.run("checkout", "FS")
    assert not world.alerts


@pytest.mark.parametrize("letters", ["FSFF", "FFSF", "SFFF"])
async def test_a_restart_in_the_middle_changes_nothing(letters: str) -> None:
    for at in range(len(letters)):
        world = EvaluatorWorld(job_of(OF_5))
        await world.run("checkout", letters[:at])
        world.restart()
        await world.run("checkout", letters[at:])
        assert world.alert("checkout").is_firing, at
        world.restart()
        await world.run("checkout", "SSSS")
        assert not world.alert("checkout").is_active


async def test_after_a_restart_a_good_run_opens_a_rate_with_the_failures_of_before() -> None:
    rule = {"when": {"success_rate_below": "90%", "window": "1h", "minimum_runs": 4}}
    world = EvaluatorWorld(job_of(rule))
    await world.run("checkout", "FFS")
    assert not world.alerts
    world.restart()

    await world.run("checkout", "S")

    assert world.alert("checkout", "success_rate_below").is_firing


async def test_a_redelivered_run_changes_nothing() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    (run,) = world.next_runs("checkout", "F")
    for _ in range(3):
        await world.finish(run)
    assert not world.alerts


async def test_runs_that_finish_out_of_order_count_in_the_order_of_their_due_instants() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "F")
    first, second = world.next_runs("checkout", "SF", finished_at=START + 5 * MINUTE)

    await world.finish(second)
    assert world.alert("checkout").is_firing
    await world.finish(first)

    assert world.alert("checkout").is_firing, "the latest run is bad still"
    await world.run("checkout", "S")
    assert not world.alert("checkout").is_active


async def end_of(world: EvaluatorWorld, *jobs: CatalogJob) -> None:
    world.replace(*jobs)
    await world.tick(1)
    assert world.alert("checkout").status is AlertStatus.RESOLVED
    assert not world.alert("checkout").is_active


@pytest.mark.parametrize(
    "jobs",
    [
        pytest.param([], id="the job was removed"),
        pytest.param([job_of({"open_after": 2}, enabled=False)], id="the job was disabled"),
        pytest.param([job_of()], id="the rule was removed"),
        pytest.param([job_of({"name": "other", "open_after": 2})], id="the rule has another name"),
    ],
)
async def test_an_alert_ends_with_its_rule(jobs: Sequence[CatalogJob]) -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "FF")
    await end_of(world, *jobs)


async def test_an_edited_rule_is_judged_by_the_next_tick() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "SSSSSFF")
    world.replace(job_of({"open_after": "6 of 10", "close_after": 1}))
    await world.run("checkout", "S")
    assert not world.alert("checkout").is_active


async def test_an_edited_rule_with_a_longer_window_counts_older_runs() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "FFFF" + "S" * 60)
    await world.run("checkout", "F")
    world.replace(job_of({"open_after": "6 of 100"}))

    await world.run("checkout", "F")

    assert world.alert("checkout").is_firing


async def test_runs_of_before_a_pause_do_not_count_after_it() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.tick()
    await world.run("checkout", "SF")
    await world.process.pauses.set_pause(Pause("checkout", world.clock.now()))
    await world.tick(10)
    await world.process.pauses.resume("checkout", world.clock.now())
    await world.tick(10)

    await world.run("checkout", "F")
    assert not world.alerts
    await world.run("checkout", "F")
    assert world.alert("checkout").is_firing


async def test_a_paused_job_holds_its_alert_until_a_run_after_the_pause_is_good() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "FF")
    await world.process.pauses.set_pause(Pause("checkout", world.clock.now()))
    await world.tick(120)
    assert world.alert("checkout").is_firing
    await world.process.pauses.resume("checkout", world.clock.now())
    await world.tick(60)
    assert world.alert("checkout").is_firing
    world.minute = 10

    await world.run("checkout", "S")

    assert not world.alert("checkout").is_active


async def test_a_run_that_cannot_be_judged_is_judged_by_the_tick() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1}))
    world.runs.fails = StoreUnavailable("unreachable")
    with pytest.raises(StoreUnavailable):
        await world.run("checkout", "F")
    await world.tick(1)
    assert world.process.evaluator.error == "unreachable"
    assert not world.alerts
    world.runs.fails = None

    await world.tick(1)

    assert world.alert("checkout").is_firing
    assert not world.process.evaluator.error
    assert world.changes == 1


async def test_a_store_that_fails_while_an_alert_is_written_is_no_loss() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1}))
    await world.tick()
    world.process.store.breaks_after = 0
    with pytest.raises(StoreUnavailable):
        await world.run("checkout", "F")
    world.process.store.breaks_after = None

    await world.tick(1)

    assert world.alert("checkout").is_firing


async def test_one_job_whose_runs_cannot_be_read_does_not_hold_back_the_others() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1, "for": "1m"}), job_of({"open_after": 1, "for": "1m"}, name="other"))
    await world.run("checkout", "F")
    world.minute = 0
    await world.run("other", "F")
    listed = world.runs.list_page

    async def list_page(job: str | None = None, **more: Any) -> RunPage:
        if job == "checkout":
            raise StoreUnavailable("damaged")
        return await listed(job, **more)

    world.process.samples.forget("checkout")
    world.runs.list_page = list_page  # type: ignore[method-assign]
    await world.tick(90)

    assert world.alert("other").is_firing
    assert world.changes == 3


async def test_a_run_that_finishes_during_a_read_of_its_job_is_not_lost() -> None:
    world = EvaluatorWorld(job_of({"open_after": "3 of 4"}))
    await world.run("checkout", "F")
    world.process.samples.forget("checkout")
    second, third = world.next_runs("checkout", "FF")
    listed = world.runs.list_page

    async def list_page(job: str | None = None, **more: Any) -> RunPage:
        page = await listed(job, **more)
        world.runs.list_page = listed  # type: ignore[method-assign]
        world.store_run(third)
        assert world.process.evaluator.is_affected(third)
        return page

    world.runs.list_page = list_page  # type: ignore[method-assign]
    await world.finish(second)
    assert not world.alerts
    await world.process.evaluator.judge(third)

    assert world.alert("checkout").is_firing


async def test_a_skipped_run_that_a_disabled_job_left_ends_the_series() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}))
    await world.run("checkout", "F")
    await world.finish(run_of("checkout", 1, "-", reason=ReasonCode.JOB_DISABLED))
    world.minute = 2
    await world.run("checkout", "F")
    assert not world.alerts
