"""What monitors of others make of a target, a job makes of it, too, in the full and in the flat form."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.flat import convert_flat_job
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Outcome
from tests.jobs.checks.http_check import open_http_check
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.jobs.running.virtual_time import LoopClock
from tests.parts.bad_servers import refused_port
from tests.parts.http_target import HttpTarget

_FILE = Path(__file__).parents[3] / "data" / "checks" / "visits.json"
_CASES = json.loads(_FILE.read_text(encoding="utf-8"))["cases"]

SECRETS = {"password": "password", "token": "mysecret"}


def _deflated(body: bytes) -> bytes:
    """Without a frame around it, as some servers send it."""
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


_PACKED = {"gzip": gzip.compress, "deflate": _deflated}


def _script(server: HttpTarget, answers: dict[str, dict[str, Any]], secure: str) -> None:
    for place, output in answers.items():
        method, _, path = place.rpartition(" ")
        answer = {"headers": {}, "body": "", **output}
        answer["headers"] = {name: value.replace("{secure}", secure) for name, value in answer["headers"].items()}
        if packed := answer.pop("packed", None):
            answer["headers"]["content-encoding"] = packed
            answer["body"] = _PACKED[packed](answer["body"].encode())
        server.on(path, **answer, method=method or None)


@asynccontextmanager
async def _target(case: dict[str, Any]) -> AsyncIterator[HttpTarget]:
    """Scripted; another one beside it speaks TLS, where the case has it redirect there. Or nobody is there at all."""
    host = case.get("host", "127.0.0.1").strip("[]")
    valid_for = timedelta(hours=case.get("hours", 24 * 90))
    async with AsyncExitStack() as stack:
        if case.get("gone"):
            unknown = await stack.enter_async_context(refused_port())
            yield HttpTarget(port=unknown.port)
            return
        tls = case.get("certificate")
        server = HttpTarget(tls=tls, host="127.0.0.1" if host == "localhost" else host, certificate_valid_for=valid_for)
        await stack.enter_async_context(server)
        secure = await stack.enter_async_context(HttpTarget(tls="good")) if case.get("secure") else server
        _script(server, case["target"], secure.url)
        yield server


def _url(case: dict[str, Any], server: HttpTarget, path: str) -> str:
    if "url" in case:
        return str(case["url"])
    scheme, _, place = server.url.partition("://")
    if "host" in case:
        place = f"{case['host']}:{server.port}"
    scheme = case.get("scheme", scheme)
    return f"{scheme}://{place}{path}" if scheme else f"{place}{path}"


def _full(case: dict[str, Any], server: HttpTarget) -> JobDefinition:
    check = dict(case["check"])
    check["url"] = _url(case, server, check.pop("path"))
    if check.get("tls") == "trusted":
        check["tls"] = {"ca_file": server.ca_file}
    job = {"name": "checkout", "check": check, "expect": case.get("expect", []), "retry": {"attempts": 1}}
    return JobDefinition.model_validate(job)


def _flat(case: dict[str, Any], server: HttpTarget) -> JobDefinition | None:
    """None: it is refused."""
    url = _url(case, server, case["check"]["path"])
    flat = convert_flat_job("checkout", {"Endpoint": url, "MaxRetries": 0, **case["flat"]})
    return None if flat.findings else JobDefinition.model_validate(flat.definition)


async def _ends_as_it_should(job: JobDefinition, case: dict[str, Any], server: HttpTarget) -> None:
    async with open_http_check(secrets=SECRETS) as run_check:
        circuits = CircuitBreakers(MemoryStates())
        run = await Runner({"http": run_check.check}, circuits, Heard(), LoopClock(), run_check.redactor).run(
            job, TICKET
        )
    assert (run.outcome is Outcome.SUCCEEDED) is case["succeeds"], run
    assert run.error == case.get("error", run.error)
    assert run.attempts[0].status == case.get("status", run.attempts[0].status)
    assert len(server.requests) == case.get("requests", len(server.requests))
    for request in server.requests[-1:]:
        assert request.body.decode() == case.get("sent", "")
        place = _url(case, server, "").partition("://")[2]
        received = {name: value.replace("{place}", place) for name, value in case.get("received", {}).items()}
        assert {name: request.headers.get(name) for name in received} == received


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case['name']}") for n, case in enumerate(_CASES)])
async def test_a_job_ends_as_others_see_it_end(case: dict[str, Any]) -> None:
    async with _target(case) as server:
        try:
            job = _full(case, server)
        except ValidationError:
            assert case.get("refused")
            return
        assert not case.get("refused")
        await _ends_as_it_should(job, case, server)


_FLAT = [case for case in _CASES if "flat" in case]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{n}-{case['name']}") for n, case in enumerate(_FLAT)])
async def test_a_flat_job_ends_as_others_see_it_end(case: dict[str, Any]) -> None:
    async with _target(case) as server:
        try:
            job = _flat(case, server)
        except ValidationError:
            job = None
        assert (job is None) is case.get("refused", False)
        if job is not None:
            await _ends_as_it_should(job, case, server)
