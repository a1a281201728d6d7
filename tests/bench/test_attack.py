"""The bench of attacks finds harm, and finds none where there is none."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bench._attacks import many_jobs
from bench._attacks.harness import Attack, Scene
from bench._attacks.receivers import EndlessMailReplies, HostileCalendars, ReceiverBombs
from bench.attack import _found, _run

BUSY = 50.0
"""Times the lateness that is wanted: other tests run beside this one."""


class Alone(Attack):
    """No attack."""

    name = "alone"
    seconds = 2


class Standstill(Attack):
    """The program stands still."""

    name = "standstill"
    seconds = 2

    def strike(self, scene: Scene) -> None:
        pid = scene.scheduler.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        os.kill(pid, signal.SIGCONT)


def test_healthy_jobs_alone_have_no_problem() -> None:
    line, problems = _run(Alone(), BUSY)

    assert problems == []
    assert (line.due, line.lost, line.not_ready) == (20 * (Alone.seconds + 2), 0, "-")


def test_a_program_that_stands_still_is_found_to_be_late_and_not_ready() -> None:
    _, problems = _run(Standstill(), BUSY)

    assert any(problem.startswith("lateness is ") or "not in history" in problem for problem in problems)
    assert any(problem.startswith("/api/health/ready was to answer 200") for problem in problems)


@pytest.mark.parametrize("attack", [ReceiverBombs, EndlessMailReplies, HostileCalendars])
def test_hostile_receivers_do_not_harm_healthy_jobs(attack: type[Attack], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "seconds", 8)

    line, problems = _run(attack(), BUSY)

    assert problems == []
    assert line.lost == 0


def test_many_stored_jobs_do_not_harm_healthy_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    # The factor of the lateness needs a machine that does nothing else.
    numbers = {"JOBS_OF_SET": 300, "SETS": 2, "SETTLES": 1.0, "MEASURED": 6.0, "MAX_FACTOR": 100.0}
    for name, number in numbers.items():
        monkeypatch.setattr(many_jobs, name, number)
    monkeypatch.setattr(many_jobs.ManyJobs, "seconds", 8)

    line, problems = _run(many_jobs.ManyJobs(), BUSY)

    assert problems == []
    assert line.lost == 0


def test_attacks_have_names_of_their_own_and_report_what_they_do() -> None:
    attacks = list(_found())

    assert len({attack.name for attack in attacks}) == len(attacks)
    assert [attack.name for attack in attacks if not attack.about] == []
