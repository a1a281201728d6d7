from __future__ import annotations

from datetime import UTC

from jobs.running.clocks import SystemClock


async def test_the_real_clock_is_in_utc_and_continues() -> None:
    clock = SystemClock()
    before, began = clock.now(), clock.monotonic()
    await clock.sleep(0.001)
    assert before.tzinfo is UTC
    assert clock.now() >= before
    assert clock.monotonic() > began
