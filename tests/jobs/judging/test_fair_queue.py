"""Whose judgement comes next, and which do not wait at all."""

from __future__ import annotations

from jobs.judging.service import MAX_QUEUED_BYTES, MAX_QUEUED_PER_JOB, FairQueue, QueuedJudgement


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[FairQueue, Watch, list[str]]:
    watch = Watch()
    return FairQueue(watch), watch, []


def waiting(job: str, size: int = 1, refused: list[str] | None = None) -> QueuedJudgement:
    return QueuedJudgement(job, size, lambda why: None if refused is None else refused.append(f"{job}: {why}"))


def acquired(queue: FairQueue, count: int) -> list[str]:
    return [one.job for _ in range(count) if (one := queue.wait_next(0)) is not None]


def test_jobs_that_have_used_nothing_come_in_their_order() -> None:
    queue, _, _ = make()
    for job in "abc":
        queue.add(waiting(job))
    assert acquired(queue, 4) == ["a", "b", "c"]


def test_the_job_that_has_used_least_comes_first() -> None:
    queue, _, _ = make()
    queue.record_use("greedy", 5)
    queue.record_use("modest", 0.1)
    for job in ("greedy", "modest", "new"):
        queue.add(waiting(job))
    assert acquired(queue, 3) == ["new", "modest", "greedy"]


def test_what_was_used_is_forgotten_by_and_by() -> None:
    queue, watch, _ = make()
    queue.record_use("once", 5)
    watch.now = 600
    queue.record_use("lately", 0.1)
    queue.add(waiting("lately"))
    queue.add(waiting("once"))
    assert acquired(queue, 2) == ["once", "lately"]


def test_a_job_has_a_few_judgements_that_wait_and_no_more() -> None:
    queue, _, refused = make()
    for _ in range(MAX_QUEUED_PER_JOB + 1):
        queue.add(waiting("a", refused=refused))
    queue.add(waiting("b", refused=refused))
    assert refused == ["a: 4 earlier answers of the job are still queued"]
    assert acquired(queue, 9) == ["a"] * MAX_QUEUED_PER_JOB + ["b"]


def test_where_large_answers_take_all_the_room_a_small_one_gets_some_of_it() -> None:
    queue, _, refused = make()
    half = MAX_QUEUED_BYTES // 2
    queue.add(waiting("large", half, refused))
    queue.add(waiting("large", half, refused))
    queue.add(waiting("small", 10, refused))
    assert [one.split(":")[0] for one in refused] == ["large"]
    assert "more than 48 MiB of answers are queued" in refused[0]
    assert acquired(queue, 3) == ["large", "small"]


def test_the_newest_goes_if_none_takes_up_more_than_it() -> None:
    queue, _, refused = make()
    third = MAX_QUEUED_BYTES // 3
    for job in ("a", "b", "c", "d"):
        queue.add(waiting(job, third, refused))
    assert [one.split(":")[0] for one in refused] == ["d"]


def test_what_no_one_waits_for_is_not_accepted() -> None:
    queue, _, _ = make()
    one = waiting("a")
    queue.add(one)
    queue.remove(one)
    queue.remove(one)
    assert queue.wait_next(0) is None


def test_a_closed_queue_gives_nothing() -> None:
    queue, _, _ = make()
    queue.add(waiting("a"))
    queue.close()
    assert queue.is_closed
    assert queue.wait_next(60) is None
