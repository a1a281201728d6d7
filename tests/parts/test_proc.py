"""Programs as child processes."""

from __future__ import annotations

import signal
import socket

import pytest

from tests.parts.proc import Program, clean_environment, free_port, run

SERVER = """
import asyncio, sys
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 %s OK\\r\\nContent-Length: 0\\r\\n\\r\\n" % sys.argv[2].encode())
    writer.close()
async def main():
    print("starting")
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()
asyncio.run(main())
"""


def server(port: int, status: int = 200) -> Program:
    return Program("-c", SERVER, str(port), str(status), module=None)


async def test_a_server_is_waited_for_and_ends_by_a_signal() -> None:
    port = free_port()
    async with server(port) as program:
        await program.ready(f"http://127.0.0.1:{port}/health")
        program.signal(signal.SIGTERM)
        assert await program.exited() == -signal.SIGTERM
        assert program.stdout == "starting\n"


async def test_a_server_that_is_not_ready_in_time_is_reported_with_its_status() -> None:
    port = free_port()
    async with server(port, 503) as program:
        with pytest.raises(AssertionError, match="answers 503"):
            await program.ready(f"http://127.0.0.1:{port}/", within=5)


async def test_a_program_that_ends_early_is_reported_with_its_output() -> None:
    async with Program("-c", "raise SystemExit('no settings')", module=None) as program:
        with pytest.raises(AssertionError, match=r"ended with 1\n(?s:.*)no settings"):
            await program.ready(f"http://127.0.0.1:{free_port()}/")


async def test_output_that_arrives_after_the_end_of_a_program_is_reported() -> None:
    program_of_the_child = "import sys; sys.exit('no settings')"
    program_of_the_parent = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {program_of_the_child!r}])"
    )
    async with Program("-c", program_of_the_parent, module=None) as program:
        with pytest.raises(AssertionError, match=r"ended with 0\n(?s:.*)no settings"):
            await program.ready(f"http://127.0.0.1:{free_port()}/")


def test_a_free_port_is_not_used_until_a_program_listens_there() -> None:
    mine = free_port()

    others = set()
    for _ in range(500):
        with socket.create_server(("127.0.0.1", 0)) as server:
            others.add(server.getsockname()[1])

    assert mine not in others
    with socket.create_server(("127.0.0.1", mine)):
        pass


async def test_what_still_runs_at_the_end_of_the_block_is_killed() -> None:
    async with server(free_port()) as program:
        assert program.running
    assert await program.exited() == -signal.SIGKILL


async def test_a_command_runs_to_its_end() -> None:
    finished = await run("-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", module=None)
    assert (finished.code, finished.stdout, finished.stderr) == (3, "out\n", "err\n")


async def test_a_child_that_leaves_loopback_fails_the_test_even_if_it_hides_the_error() -> None:
    program = "import socket, contextlib\nwith contextlib.suppress(Exception): socket.getaddrinfo('example.com', 443)"
    with pytest.raises(AssertionError, match=r"look up 'example\.com'"):
        await run("-c", program, module=None)


def test_the_callers_environment_does_not_reach_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SETTING", "x")
    environment = clean_environment({"SCHEDULER_ADDED": "1"})
    assert "SOME_SETTING" not in environment
    assert environment["SCHEDULER_ADDED"] == "1"
