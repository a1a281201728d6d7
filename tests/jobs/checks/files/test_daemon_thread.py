"""Work in a thread that nobody waits for at the end."""

from __future__ import annotations

import pytest

from jobs.checks.files import run_in_daemon_thread
from tests.parts.proc import run

HANGS = """
import asyncio, time
from jobs.checks.files import run_in_daemon_thread
async def main():
    for _ in range(40):
        try:
            async with asyncio.timeout(0.001):
                await run_in_daemon_thread(time.sleep, 3600)
        except TimeoutError:
            pass
    print(await asyncio.to_thread(sum, [1, 2]))
asyncio.run(main())
"""


async def test_it_gives_what_the_work_gives_or_raises() -> None:
    assert await run_in_daemon_thread(sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        await run_in_daemon_thread(divmod, 1, 0)


async def test_a_program_ends_though_such_work_hangs_and_so_do_its_other_threads_work() -> None:
    ended = await run("-c", HANGS, module=None)

    assert (ended.code, ended.stdout, ended.stderr) == (0, "3\n", "")
