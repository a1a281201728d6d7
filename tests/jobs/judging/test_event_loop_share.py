"""Which judgements get a try on the event loop."""

from __future__ import annotations

from jobs.judging.service import LOOP_BURST_SECONDS, LOOP_RETRY_SECONDS, LOOP_TIME_SHARE, EventLoopShare


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_short_judgements_are_made_at_once() -> None:
    at_once = EventLoopShare(Watch())
    for _ in range(100):
        assert at_once.can_judge("a")
        at_once.record_on_loop("a", 0.0001)


def test_a_job_whose_judgement_took_long_gets_no_try_for_a_while() -> None:
    watch = Watch()
    at_once = EventLoopShare(watch)
    at_once.record_on_loop("slow", 0.004)
    assert not at_once.can_judge("slow")
    assert at_once.can_judge("another")
    watch.now = LOOP_RETRY_SECONDS
    assert at_once.can_judge("slow")


def test_a_job_whose_judgement_has_become_short_gets_a_try_again() -> None:
    at_once = EventLoopShare(Watch())
    at_once.record_on_loop("a", 0.004)
    at_once.record_in_process("a", 0.5)
    assert not at_once.can_judge("a")
    at_once.record_in_process("a", 0.0005)
    assert at_once.can_judge("a")


def test_all_tries_together_have_a_share_of_the_time() -> None:
    watch = Watch()
    at_once = EventLoopShare(watch)
    tries = 0
    for step in range(10_000):
        watch.now = step / 1000
        if at_once.can_judge(f"job-{step}"):
            at_once.record_on_loop(f"job-{step}", 0.0019)
            tries += 1
    assert tries * 0.0019 <= 10 * LOOP_TIME_SHARE + LOOP_BURST_SECONDS + 0.0019
    assert tries > 100
