"""Work on a file system that may hang, in a thread of its own. Used by the checks, config and scheduler.app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def run_in_daemon_thread(work: Callable[..., _T], *arguments: object) -> _T:
    """As `asyncio.to_thread`, for what may never return, such as a look at a share that hangs.

    The few threads of `to_thread` are everybody's, and the program's end waits for them; this one is nobody else's, and
    the program ends without it. Callers see to it that not many of them hang at a time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # of `work`, None only if it says so

    def worked() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=worked, name=f"own-{work.__name__}", daemon=True).start()
    return await done
