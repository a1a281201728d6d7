"""Lets other tasks run between two steps of long work, whatever number of tasks has such work.

`asyncio.sleep(0)` lets all tasks that use it do their next step in one iteration of the event loop, so that a due run
waits for the steps of all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

_Line = deque[asyncio.Future[None]]
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()


async def wait_for_turn() -> None:
    """Wait until this task may do one step: one task may in each iteration of the event loop, in order."""
    loop = asyncio.get_running_loop()
    line = _lines.setdefault(loop, deque())
    turn = loop.create_future()
    line.append(turn)
    if len(line) == 1:
        loop.call_soon(_give_turn, loop, line)
    await turn


def _give_turn(loop: asyncio.AbstractEventLoop, line: _Line) -> None:
    while line:
        turn = line.popleft()
        if not turn.done():  # its task was cancelled
            turn.set_result(None)
            break
    if line:
        loop.call_soon(_give_turn, loop, line)
