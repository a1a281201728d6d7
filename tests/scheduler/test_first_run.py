"""The first run of a process measures its target, not the imports of the program."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.parts.dns_server import DnsServer
from tests.parts.fork_server import ForkServer
from tests.parts.http2_server import Http2Server
from tests.parts.http_target import Answer, HttpTarget
from tests.parts.proc import clean_environment
from tests.parts.tls import ca_file
from tests.parts.token_endpoint import TokenEndpoint
from tests.project import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = "tests.scheduler.first_run_program"
ANSWER = Answer.of_json({"status": "ok", "items": [1, 2, 3]})
EXPECTATIONS = [
    {"json": "$.items[?@ > 2]", "exists": True},
    {"json": "$.items[?match(@, 'a')]", "exists": False},
    {"json": "$.status", "matches": "o."},
    {"cel": "status == 200 && size(json.items) == 3"},
    {"body_contains": "ok"},
    {"body_matches": "o."},
    {"header": "content-type", "matches": "json"},
    {"response_time_below": "60s"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jobs() -> AsyncIterator[dict[str, dict[str, Any]]]:
    """A job of each kind of check, and of each feature that needs a library."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(HttpTarget())
        plain.on_call("/", lambda _: ANSWER)
        secure = await stack.enter_async_context(HttpTarget(tls="good"))
        second = await stack.enter_async_context(Http2Server(tls=True))
        endpoint = await stack.enter_async_context(TokenEndpoint())
        names = await stack.enter_async_context(DnsServer({("a.test", "A"): ["10.0.0.1"]}))
        trusted = {"ca_file": str(ca_file())}
        oauth = {
            "kind": "oauth2",
            "token_url": f"{endpoint.url}/token",
            "client_id": "probe",
            "client_secret": {"secret": "client"},
        }
        yield {
            "http": {"check": {"url": plain.url}},
            "https": {"check": {"url": secure.url, "tls": trusted}},
            "localhost": {"check": {"url": plain.url.replace("127.0.0.1", "localhost")}},
            "http2": {"check": {"url": second.url, "tls": trusted, "http2": True}},
            "judged": {"check": {"url": plain.url}, "expect": EXPECTATIONS},
            "oauth": {"check": {"url": plain.url, "auth": oauth}},
            "tcp": {"check": {"kind": "tcp", "host": "127.0.0.1", "port": plain.port}},
            "tcp-tls": {"check": {"kind": "tcp", "host": "127.0.0.1", "port": secure.port, "tls": trusted}},
            "tls": {"check": {"kind": "tls", "host": "127.0.0.1", "port": secure.port, "tls": trusted}},
            "dns": {"check": {"kind": "dns", "name": "a.test", "server": "127.0.0.1", "port": names.port}},
            "steps": {
                "check": {
                    "kind": "steps",
                    "steps": [{"name": "one", "url": secure.url, "tls": trusted}, {"name": "two", "url": plain.url}],
                }
            },
            "failing": {"check": {"url": "http://127.0.0.1:9/"}},
            "untrusted": {"check": {"url": secure.url}},
            "tls-untrusted": {"check": {"kind": "tls", "host": "127.0.0.1", "port": secure.port}},
            "heartbeat": {"check": {"kind": "heartbeat", "token": {"secret": "pings"}, "period": "1h"}},
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ForkServer]:
    folder = tmp_path_factory.mktemp("forks")
    with (folder / "output.txt").open("wb") as output:
        async with ForkServer(PROGRAM, clean_environment({}), ROOT, output) as server:
            yield server


OUTCOMES = {"failing": "failed", "untrusted": "failed", "tls-untrusted": "failed", "heartbeat": "skipped"}
"""Of those that do not succeed. No ping has arrived yet to the heartbeat."""
KINDS = (
    "http",
    "https",
    "localhost",
    "http2",
    "judged",
    "oauth",
    "tcp",
    "tcp-tls",
    "tls",
    "dns",
    "steps",
    *OUTCOMES,
)


@pytest.mark.parametrize("role", ["tool", "embedded"])
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_imported_while_the_first_attempt_is_measured(
    kind: str, role: str, jobs: dict[str, dict[str, Any]], forks: ForkServer, tmp_path: Path
) -> None:
    definition = {**jobs[kind], "retry": {"attempts": 1}}
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": {kind: definition}}))
    env = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_JOBS": str(tmp_path / "jobs.json"),
        "SCHEDULER_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        "SCHEDULER_SECRET_CLIENT": "cl1ent-secret",
        "SCHEDULER_SECRET_PINGS": "0123456789abcdef",
    }

    result = tmp_path / "result.json"
    await forks.wait(await forks.fork(json.dumps([role, kind, env, str(result)])))

    reported = json.loads(result.read_text())
    assert reported["outcome"] == OUTCOMES.get(kind, "succeeded"), reported
    assert reported["imported"] == []
