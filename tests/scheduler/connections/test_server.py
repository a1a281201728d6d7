"""The server of the embedded host."""

from __future__ import annotations

import asyncio
import socket

import httpx
from starlette.types import Receive, Scope, Send

from scheduler.connections.register import ConnectionRegister
from scheduler.hosts.embedded.server import create_server


async def test_a_client_on_loopback_cannot_choose_its_address_or_scheme() -> None:
    seen: list[tuple[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = create_server(app, ConnectionRegister(10))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient(trust_env=False) as client:
            forged = {"X-Forwarded-For": "10.9.1.1", "X-Forwarded-Proto": "https"}
            await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", headers=forged)
        server.stop()
        await serving

    assert seen == [("127.0.0.1", "http")]
