"""Monitors of Uptime Kuma and a web test are imported and run: they observe what their sources observed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.config.importers.app_insights.samples import request, rule, web_test
from tests.config.importers.kuma.database import build_database, monitor
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import CommandResult, invoke, invoke_concurrently


async def _run(job_folder: Path, row: dict[str, Any]) -> CommandResult:
    path = build_database(job_folder.parent / "kuma.db", {"monitor": [row]})
    imported = await invoke_concurrently("import", "uptime-kuma", str(path), "--to", str(job_folder / "kuma.yaml"))
    assert imported.code == 0, imported
    assert invoke("validate").code == 0
    return await invoke_concurrently("run", "shop")


@asynccontextmanager
async def _server(answer: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """A server of lines that answers each request by a function; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(answer(data))
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("body", "code"), [("Welcome to the shop", 0), ("Maintenance", 1)])
async def test_a_keyword(job_folder: Path, body: str, code: int) -> None:
    async with HttpTarget() as target:
        target.on("/", 200, body=body)
        row = monitor("keyword", url=f"{target.url}/", keyword="Welcome", headers='{"X-Probe": "yes"}')
        done = await _run(job_folder, row)
        assert target.last.headers["x-probe"] == "yes"
    assert done.code == code


@pytest.mark.parametrize(("waiting", "code"), [(7, 1)])
async def test_a_json_query(job_folder: Path, waiting: int, code: int) -> None:
    async with HttpTarget() as target:
        target.on("/queue", 200, body={"queues": [{"waiting": waiting}]})
        row = monitor("json-query", url=f"{target.url}/queue", json_path="queues[0].waiting", expected_value="0")
        assert (await _run(job_folder, row)).code == code


@pytest.mark.parametrize(("answer", "code"), [(b"+PONG\r\n", 0), (b"-NOAUTH Authentication required.\r\n", 0)])
async def test_a_ping_of_redis(job_folder: Path, answer: bytes, code: int) -> None:
    async with _server(lambda data: answer if data == b"PING\r\n" else b"!") as port:
        row = monitor("redis", database_connection_string=f"redis://127.0.0.1:{port}", interval=20)
        assert (await _run(job_folder, row)).code == code


@pytest.mark.parametrize(("accept", "code"), [("UYr3y3izfffxsTKLDeQTsx6pvTM=", 0), ("wrong", 1)])
async def test_an_upgrade_to_a_websocket(job_folder: Path, accept: str, code: int) -> None:
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    async with _server(lambda data: f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()) as port:
        row = monitor("websocket-upgrade", url=f"ws://127.0.0.1:{port}/live", accepted_statuscodes_json='["1000"]')
        assert (await _run(job_folder, {**row, "timeout": 2})).code == code


async def test_a_port_that_must_be_closed(job_folder: Path) -> None:
    async with _server(lambda data: b"") as port:
        row = monitor("port", hostname="127.0.0.1", port=port, upside_down=1)
        assert (await _run(job_folder, row)).code == 1
    assert (await invoke_concurrently("run", "shop")).code == 0


@pytest.mark.parametrize(("order", "code"), [("4711", 0), ("none", 1)])
async def test_a_web_test_of_two_requests(job_folder: Path, order: str, code: int) -> None:
    async with HttpTarget() as target:
        target.on("/orders", 200, body=f"newest order: {order};")
        target.on("/orders/none", 404)
        extraction = rule("ExtractText", {"StartsWith": "order: ", "EndsWith": ";"}, variable="Order Id")
        first, second = request(f"{target.url}/orders", extraction), request(f"{target.url}/orders/{{{{Order Id}}}}")
        path = job_folder.parent / "shop.webtest"
        path.write_text(web_test(first, second))
        imported = await invoke_concurrently("import", "app-insights", str(path), "--to", str(job_folder / "a.yaml"))
        assert imported.code == 0, imported
        assert (await invoke_concurrently("run", "shop")).code == code
        assert target.last.path == f"/orders/{order}"
