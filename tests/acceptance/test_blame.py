"""Of several that take part in a run, its message blames the one that fails: a redirect, a step, a proxy."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.running.clocks import SystemClock
from jobs.runs import Run, Ticket
from tests.acceptance.test_zoo import open_runner
from tests.parts import bad_servers as bad
from tests.parts.http_target import HttpTarget

QUICK = {"attempt": "900ms", "run": "5s"}


async def run(check: dict[str, Any], **job: Any) -> Run:
    definition = {"name": "blame", "retry": {"attempts": 1}, "timeout": QUICK, **job, "check": check}
    async with open_runner() as runner:
        return await runner.run(
            JobDefinition.model_validate(definition), Ticket.requested("blame", SystemClock().now(), "1")
        )


async def test_a_time_out_after_a_redirect_names_both() -> None:
    async with HttpTarget() as first, bad.black_hole() as second:
        first.on("/", 302, headers={"Location": f"http://localhost:{second.port}/"})
        observed = await run({"url": first.url})
    assert observed.error == "response_timeout"
    assert f"No response from localhost:{second.port} within 900 ms" in observed.message
    assert observed.message.endswith(f" 127.0.0.1:{first.port} redirected to it.")


async def test_a_refusal_after_a_redirect_names_both() -> None:
    async with HttpTarget() as first, bad.refused_port() as second:
        first.on("/", 302, headers={"Location": f"http://127.0.0.1:{second.port}/"})
        observed = await run({"url": first.url})
    assert observed.message.startswith(f"127.0.0.1:{second.port} refused the connection")
    assert observed.message.endswith(f" 127.0.0.1:{first.port} redirected to it.")


async def test_a_time_out_in_a_step_names_the_step_and_whom_it_requested() -> None:
    async with HttpTarget() as first, bad.black_hole() as second:
        steps = [{"name": "a", "url": first.url}, {"name": "b", "url": f"http://localhost:{second.port}/"}]
        observed = await run({"kind": "steps", "steps": steps})
    assert observed.error == "response_timeout"
    assert observed.message.startswith(f"Step 2 of 2 (b): No response from localhost:{second.port} within 900 ms")


async def test_a_time_out_of_a_steps_own_is_of_its_phase() -> None:
    async with bad.black_hole() as silent:
        step = {"name": "a", "url": f"https://127.0.0.1:{silent.port}/", "timeout": "900ms"}
        observed = await run({"kind": "steps", "steps": [step]}, timeout={"attempt": "5s", "run": "5s"})
    assert observed.error == "tls_timeout"
    assert observed.message.startswith(f"Step 1 of 1 (a): No TLS session with 127.0.0.1:{silent.port} within 900 ms")


@pytest.mark.parametrize(
    ("url", "error"), [("https://a.test/", "connect_timeout"), ("http://a.test/", "response_timeout")]
)
async def test_a_proxy_that_stays_silent_is_named(url: str, error: str) -> None:
    async with bad.black_hole() as proxy:
        observed = await run({"url": url, "proxy": proxy.url})
    assert observed.error == error
    assert (
        f"the proxy 127.0.0.1:{proxy.port}" in observed.message or f"127.0.0.1:{proxy.port} within" in observed.message
    )
    assert "proxy" in observed.message


async def test_a_proxy_that_speaks_something_else_is_reported() -> None:
    async with bad.part_then(b"SSH-2.0-OpenSSH_9.6\r\n", "silence", at_once=True) as proxy:
        observed = await run({"url": "https://a.test/", "proxy": proxy.url})
    assert observed.error == "protocol_error"
    assert observed.message.startswith(f"127.0.0.1:{proxy.port} answered with something that is not HTTP/1.1, but SSH")
    assert observed.message.endswith(" This is the proxy.")


async def test_a_dialogue_that_stops_shows_what_came_instead() -> None:
    async with bad.part_then(b"554 go away\r\n", "silence", at_once=True) as server:
        check = {"kind": "tcp", "host": "127.0.0.1", "port": server.port, "dialogue": [{"receive": "^220"}]}
        observed = await run(check)
    assert (observed.outcome, observed.error) == ("failed", "expectation_failed")
    assert observed.message.endswith("sent something else: expected a match of '^220', received '554 go away\\r\\n'.")


async def test_a_dialogue_of_which_a_part_came_has_failed_and_not_timed_out() -> None:
    async with bad.part_then(b"22", "silence", at_once=True) as server:
        check = {"kind": "tcp", "host": "127.0.0.1", "port": server.port, "dialogue": [{"receive": "^220"}]}
        observed = await run(check)
    assert (observed.outcome, observed.error) == ("failed", "expectation_failed")
    assert observed.message.endswith(": expected a match of '^220', received '22'.")
