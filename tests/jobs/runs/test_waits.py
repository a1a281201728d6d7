"""What a run waited for before it started: which waits are stored, and how they are described."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.waits import (
    MAX_WAITS,
    MIN_WAIT_MS,
    StartWait,
    WaitReason,
    describe_waits,
    explain_lateness,
    select_longest,
)

PLACE = StartWait(WaitReason.PLACE, 3900.0, "limit of concurrency group payments")
CLAIM = StartWait(WaitReason.CLAIM, 200.0)
WAITS = st.lists(st.builds(StartWait, st.sampled_from(WaitReason), st.floats(0, 1e6), st.text(max_size=9)), max_size=12)


@given(WAITS)
def test_the_longest_waits_are_stored_in_order(waits: list[StartWait]) -> None:
    stored = select_longest(waits)

    lengths = [wait.milliseconds for wait in stored]
    assert len(stored) <= MAX_WAITS
    assert lengths == sorted(lengths, reverse=True)
    assert all(length >= MIN_WAIT_MS for length in lengths)
    assert sum(lengths) <= sum(wait.milliseconds for wait in waits) + 0.01
    if len(waits) <= MAX_WAITS:
        assert sorted(lengths) == sorted(wait.milliseconds for wait in waits if wait.milliseconds >= MIN_WAIT_MS)


@given(st.lists(st.floats(0.5, 100), min_size=MAX_WAITS + 1, max_size=300))
def test_many_waits_for_one_reason_are_one_with_the_detail_of_the_longest(lengths: list[float]) -> None:
    waits = [StartWait(WaitReason.GATE, length, f"run {number}") for number, length in enumerate(lengths)]

    stored = select_longest(waits)

    total = sum(lengths)
    assert [wait.milliseconds for wait in stored] == ([pytest.approx(total, abs=0.01)] if total >= MIN_WAIT_MS else [])
    assert all(wait.detail == f"run {lengths.index(max(lengths))}" for wait in stored)


@pytest.mark.parametrize(
    ("waits", "lateness_ms", "text"),
    [
        (
            (PLACE, CLAIM),
            4200.0,
            "Started 4.2 s late: waited 3.9 s for a place (limit of concurrency group payments), 200 ms for the claim.",
        ),
        ((CLAIM,), 210.0, "Started 210 ms late: waited 200 ms for the claim."),
        ((CLAIM,), 900.0, "Started 900 ms late: waited 200 ms for the claim, 700 ms for reasons that are not known."),
        ((), 4200.0, ""),
    ],
)
def test_a_sentence_explains_the_lateness(waits: tuple[StartWait, ...], lateness_ms: float, text: str) -> None:
    assert explain_lateness(waits, lateness_ms) == text


def test_waits_that_are_not_named_are_not_a_rest_without_reason() -> None:
    assert describe_waits((PLACE, CLAIM), 4100.0, most=1) == str(PLACE)


@pytest.mark.parametrize("reason", WaitReason)
def test_each_reason_has_a_phrase(reason: WaitReason) -> None:
    text = str(StartWait(reason, 1500.0, "detail"))
    assert text.startswith("1.5 s ")
    assert text.endswith(" (detail)")
