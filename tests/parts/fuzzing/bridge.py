"""An event loop in a thread, and ASGI apps that run on it while Schemathesis calls them from its own threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class LoopThread:
    """`with LoopThread() as loop: loop.run(coroutine)`: the result of a coroutine on the thread's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="program", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def bridge(self, app: App) -> App:
        """The app as one that any loop can call. A request is read first, and an answer sent once it is complete."""

        async def bridged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await _answer_lifespan(receive, send)
                return
            exchange = asyncio.run_coroutine_threadsafe(_exchange(app, scope, await _read(receive)), self._loop)
            for message in await asyncio.wrap_future(exchange):
                await send(message)

        return bridged


async def _exchange(app: App, scope: Scope, body: bytes) -> list[Message]:
    sent: list[Message] = []
    received = False

    async def receive() -> Message:
        nonlocal received
        if received:
            await asyncio.Future()  # the client stays until it has the answer
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "state": {}}, receive, send)
    return sent


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
