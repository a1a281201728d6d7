"""The judging process: it gives the results of its parent, has a hard end, and holds no secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.judging import ExpectationVerdict, Judgement, JudgingTask
from jobs.judging.child import make_completer
from jobs.judging.process import JudgingProcess, ProcessStartError, TaskDone, TaskFailed, TaskStopped
from jobs.redaction import Redactor
from tests.jobs.expectations.helpers import answer, entries
from tests.jobs.judging.tasks import Sample

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def process() -> Iterator[JudgingProcess]:
    process = JudgingProcess()
    yield process
    process.stop()


def pid(process: JudgingProcess) -> int:
    done = process.perform(Sample("pid"), 5)
    assert isinstance(done, TaskDone)
    return int(done.packed)


def result(process: JudgingProcess, task: JudgingTask[Any]) -> Any:
    done = process.perform(task, 5)
    assert isinstance(done, TaskDone), done
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    return task.unpack(done.packed, make_completer(done.nonce, done.texts, redactor.redact))


def test_tasks_are_performed_in_one_other_process(process: JudgingProcess) -> None:
    assert pid(process) == pid(process) == process.pid != os.getpid()


def test_a_judgement_comes_out_as_it_would_here(process: JudgingProcess) -> None:
    found = answer('{"a": [1, 2], "token": "correct-horse-battery"}', 503, headers={"x": "y"})
    expect = entries(
        {"json": "$.a[*]", "below": 2},
        {"json": "$", "exists": False},
        {"body_contains": "correct-horse-battery!"},
        {"header": "x", "equals": "z", "severity": "degraded"},
        {"cel": "json.nothing == 1"},
        {"cel": "body == 'nothing'"},
        {"body_matches": "^(a|aa)+$"},
    )
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    task = Judgement(found, expect)
    here: ExpectationVerdict = task.perform(redactor.redact, lambda _: None)
    assert result(process, task) == here
    assert len(here.failures) == 8
    assert "correct-horse" not in str(here)


def test_what_is_not_json_is_shown_without_secrets(process: JudgingProcess) -> None:
    task = Judgement(answer("my correct-horse-battery"), entries({"cel": "json.a"}, {"json": "$.a", "equals": 1}))
    assert [failure.observed for failure in result(process, task).failures] == ["not JSON: 'my ***'"] * 2


def test_it_gets_no_variable_of_the_environment_that_may_hold_a_secret(
    process: JudgingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEDULER_DATADOG__API_KEY", "0123")
    process.stop()
    done = process.perform(Sample("environment"), 5)
    assert isinstance(done, TaskDone)
    assert "PYTHONPATH" in done.packed
    assert "SCHEDULER" not in done.packed


def test_texts_are_redacted_by_the_parent(process: JudgingProcess) -> None:
    done = process.perform(Sample("redacts"), 5)
    assert isinstance(done, TaskDone)
    assert done.texts == [["my correct-horse-battery", False]]
    assert result(process, Sample("redacts")) == "says 'my ***'"


@pytest.mark.parametrize(
    ("does", "seconds", "why"),
    [
        ("computes for ever", 0.1, "stopped after 0.1 s of CPU time"),
        ("takes all memory", 60, "it needed too much memory"),
        ("crashes", 60, "its process ended with code -6"),
    ],
)
def test_what_cannot_be_interrupted_is_stopped_and_the_next_task_gets_another_process(
    process: JudgingProcess, does: str, seconds: float, why: str
) -> None:
    before = pid(process)
    stopped = process.perform(Sample(does), seconds)
    assert isinstance(stopped, TaskStopped)
    assert (stopped.part, stopped.why) == (1, why)
    assert pid(process) != before


def test_patterns_at_which_their_library_checks_no_clock_are_stopped(process: JudgingProcess) -> None:
    task = Judgement(answer(b"a" * 16_000_000), entries({"body_matches": "(?=.*b)"}))
    stopped = process.perform(task, 0.1)
    assert isinstance(stopped, TaskStopped)
    assert stopped.seconds <= 0.2


def test_a_task_is_given_to_another_process_if_a_user_killed_the_first_one(process: JudgingProcess) -> None:
    before = pid(process)
    os.kill(before, signal.SIGKILL)
    assert pid(process) != before


def test_a_task_that_ends_two_processes_is_abandoned(process: JudgingProcess) -> None:
    stopped = process.perform(Sample("ends"), 5)
    assert isinstance(stopped, TaskStopped)
    assert stopped.why == "its process ended with code -9"


def test_an_error_in_a_task_is_reported_by_its_type_alone(process: JudgingProcess) -> None:
    failed = process.perform(Sample("fails"), 5)
    assert isinstance(failed, TaskFailed)
    assert failed.error == "ValueError"


def test_signals_for_the_group_do_not_end_it(process: JudgingProcess) -> None:
    before = pid(process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(before, number)
    assert pid(process) == before


def test_a_program_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ProcessStartError, match="No such file"):
        JudgingProcess().perform(Sample("pid"), 5)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ProcessStartError, match="it ended at once with code 1"):
        JudgingProcess().perform(Sample("pid"), 5)


def test_nothing_is_performed_once_it_is_closed() -> None:
    process = JudgingProcess()
    process.close()
    assert process.perform(Sample("pid"), 5) == TaskFailed("closed")


def test_it_ends_with_its_parent_however_that_ends() -> None:
    program = (
        "import os, signal\n"
        "from jobs.judging.process import JudgingProcess\n"
        "from tests.jobs.judging.tasks import Sample\n"
        "print(JudgingProcess().perform(Sample('pid'), 5).packed, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    reported = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    deadline = time.monotonic() + 60
    while _runs(reported.stdout.strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_health_document_comes_out_with_its_verdict(process: JudgingProcess) -> None:
    report = '{"status": "Unhealthy", "entries": {"db": {"status": "Unhealthy", "error": "correct-horse-battery"}}}'
    task = Judgement(answer(report, 503), entries({"health": "aspnet"}))
    found = result(process, task)
    assert [failure.observed for failure in found.failures] == ["Unhealthy because of db (***)"]
    assert found.health == task.perform(Redactor().redact, lambda _: None).health
