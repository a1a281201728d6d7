"""The bench of attacks finds harm, and finds none where there is none."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bench._attacks import many_jobs
from bench._attacks.harness import Attack, Scene, Scheduler
from bench._attacks.receivers import HostileReceivers
from bench._lateness import Figures, Load
from bench.attack import LED_BY, _excuse_overlaps, _found, _run

BUSY = 50.0
"""Times the lateness that is wanted: other tests run beside this one."""


class Standstill(Attack):
    """The program stands still."""

    name = "standstill"
    seconds = 2

    def strike(self, scene: Scene) -> None:
        pid = scene.scheduler.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        time.sleep(4)
        os.kill(pid, signal.SIGCONT)


def test_a_program_that_stands_still_is_found_to_be_late_and_not_ready() -> None:
    _, problems = _run(Standstill(), 10.0)

    assert any(problem.startswith("lateness is ") or "not in history" in problem for problem in problems)
    assert any(problem.startswith("/api/health/ready was to answer 200") for problem in problems)


def test_hostile_receivers_do_not_harm_healthy_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HostileReceivers, "seconds", 5)

    line, problems = _run(HostileReceivers(), BUSY)

    assert problems == []
    assert (line.lost, line.not_ready) == (0, "-")
    assert line.due >= 20 * (HostileReceivers.seconds + LED_BY[Scheduler])


@pytest.mark.parametrize(("most_late", "excused"), [(999.0, False), (1000.0, True)])
def test_a_run_that_overlaps_is_lost_unless_runs_may_be_an_interval_late(most_late: float, excused: bool) -> None:
    overlap = {"skipped: the previous run (a@1) was still running (overlap: skip)": 1}
    failed = {"failed: no": 1}
    found = Figures([], [], 2, overlap | failed, 0, 0, 0)

    judged = _excuse_overlaps(found, Load(count=20, every=1, burst=False), most_late)

    assert judged.unsuccessful == (failed if excused else overlap | failed)


def test_many_stored_jobs_do_not_harm_healthy_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    # The factor of the lateness needs a machine that does nothing else.
    numbers = {"JOBS_OF_SET": 300, "SETS": 2, "SETTLES": 0.5, "MEASURED": 3.0, "MAX_FACTOR": 100.0}
    for name, number in numbers.items():
        monkeypatch.setattr(many_jobs, name, number)
    monkeypatch.setattr(many_jobs.ManyJobs, "seconds", 3)

    line, problems = _run(many_jobs.ManyJobs(), BUSY)

    assert problems == []
    assert line.lost == 0


def test_attacks_have_names_of_their_own_and_report_what_they_do() -> None:
    attacks = list(_found())

    assert len({attack.name for attack in attacks}) == len(attacks)
    assert [attack.name for attack in attacks if not attack.about] == []
