"""Run work on a file system that may hang in a thread. Used by the checks, config and scheduler.app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def run_in_daemon_thread(work: Callable[..., _T], *arguments: object) -> _T:
    """Run as `asyncio.to_thread` does, for work that may never return, such as access to a hanging share.

    The few threads of `to_thread` are shared, and the program waits for them at exit; this thread is used once, and the
    program exits without it. Callers limit how many of them hang at a time.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only if `work` returns it

    def worked() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: there is no waiter left
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=worked, name=f"own-{work.__name__}", daemon=True).start()
    return await done
