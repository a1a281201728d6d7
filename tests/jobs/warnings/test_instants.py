"""Seconds in which more runs are due than one process can start."""

from __future__ import annotations

from jobs.definition import JobDefinition
from jobs.warnings.instants import RUNS_PER_SECOND, find_crowded_instants

NOW_MS = 1_800_000_000_000


def jobs_of(count: int, schedule: object, prefix: str = "job", **more: object) -> list[JobDefinition]:
    return [
        JobDefinition.model_validate(
            {"name": f"{prefix}-{number}", "check": {"url": "https://a.example/"}, "schedule": schedule, **more}
        )
        for number in range(count)
    ]


MANY = RUNS_PER_SECOND + 200


def test_many_jobs_on_one_instant_are_one_finding() -> None:
    (crowd,) = find_crowded_instants(jobs_of(MANY, "0 */5 * * * *"), NOW_MS)

    assert (crowd.runs, crowd.schedule_jobs, crowd.seconds) == (MANY, MANY, 12)
    assert crowd.message.startswith(f"{MANY} runs are due in the second of ")
    assert "add jitter: 4s to the schedule" in crowd.hint


def test_as_many_as_a_process_can_start_are_no_finding() -> None:
    assert find_crowded_instants(jobs_of(RUNS_PER_SECOND, "0 * * * * *"), NOW_MS) == []


def test_different_schedules_that_meet_are_a_finding() -> None:
    jobs = [*jobs_of(700, "0 * * * * *", "minute"), *jobs_of(500, "0 0 * * * *", "hour")]
    (crowd,) = find_crowded_instants(jobs, NOW_MS)

    assert (crowd.runs, crowd.seconds, crowd.at_ms % 3_600_000) == (1200, 1, 0)
    assert crowd.schedule.text == "0 * * * * *"


def test_jobs_spread_by_jitter_are_no_finding() -> None:
    assert find_crowded_instants(jobs_of(MANY, {"cron": "0 */5 * * * *", "jitter": "20s"}), NOW_MS) == []


def test_the_proposed_jitter_removes_the_finding() -> None:
    (crowd,) = find_crowded_instants(jobs_of(2 * MANY, "0 */5 * * * *"), NOW_MS)
    jitter = crowd.hint.partition("jitter: ")[2].split()[0]

    assert find_crowded_instants(jobs_of(2 * MANY, {"cron": "0 */5 * * * *", "jitter": jitter}), NOW_MS) == []


def test_disabled_jobs_are_not_due() -> None:
    assert find_crowded_instants(jobs_of(MANY, "0 * * * * *", enabled=False), NOW_MS) == []
