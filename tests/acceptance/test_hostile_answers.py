"""Generated hostile answers of receivers, proxies, mail servers and calendars: bounded in bytes, time and memory.

`./dev bench fuzz --answers 500` sends more, and prints what they cost.
"""

from __future__ import annotations

import pytest

from tests.parts.fuzzing.answers import FUZZED

ANSWERS = 100


@pytest.mark.parametrize("peer", FUZZED)
async def test_hostile_answers_are_bounded_and_reported(peer: str) -> None:
    figures = await FUZZED[peer](range(ANSWERS))

    assert figures.problems == []
    assert figures.answers == ANSWERS
    assert figures.accepted < ANSWERS
