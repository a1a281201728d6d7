"""How often others have their turn on the event loop while something runs.

async with counted_turns() as turns:
    await something_long()
assert turns.number > 5
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Turns:
    number: int = 0


@asynccontextmanager
async def counted_turns() -> AsyncIterator[Turns]:
    """Count them until the block ends."""
    turns = Turns()

    async def count() -> None:
        while True:
            turns.number += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    try:
        yield turns
    finally:
        task.cancel()
