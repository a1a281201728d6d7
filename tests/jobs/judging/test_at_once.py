"""Which judgements get a try on the event loop."""

from __future__ import annotations

from jobs.judging.at_once import BURST_SECONDS, RETRY_SECONDS, SHARE, AtOnce


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_short_judgements_are_made_at_once() -> None:
    at_once = AtOnce(Watch())
    for _ in range(100):
        assert at_once.allows("a")
        at_once.took("a", 0.0001)


def test_a_job_whose_judgement_took_long_gets_no_try_for_a_while() -> None:
    watch = Watch()
    at_once = AtOnce(watch)
    at_once.took("slow", 0.004)
    assert not at_once.allows("slow")
    assert at_once.allows("another")
    watch.now = RETRY_SECONDS
    assert at_once.allows("slow")


def test_a_job_whose_judgement_has_become_short_gets_a_try_again() -> None:
    at_once = AtOnce(Watch())
    at_once.took("a", 0.004)
    at_once.took_elsewhere("a", 0.5)
    assert not at_once.allows("a")
    at_once.took_elsewhere("a", 0.0005)
    assert at_once.allows("a")


def test_all_tries_together_have_a_share_of_the_time() -> None:
    watch = Watch()
    at_once = AtOnce(watch)
    tries = 0
    for step in range(10_000):
        watch.now = step / 1000
        if at_once.allows(f"job-{step}"):
            at_once.took(f"job-{step}", 0.0019)
            tries += 1
    assert tries * 0.0019 <= 10 * SHARE + BURST_SECONDS + 0.0019
    assert tries > 100
