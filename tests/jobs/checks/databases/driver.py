"""One question of a database check to a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from jobs.checks.clock import PhaseClock, describe_deadline
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD, Guard
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets import Target
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.parts.databases import PASSWORD, DatabaseServer
from tests.parts.tls import ca_file

_TARGETS: TypeAdapter[Any] = TypeAdapter(Target)


def make_target(kind: str, port: int, **fields: Any) -> Any:
    known = {"kind": kind, "host": "localhost", "port": port, "user": "monitor", "password": {"secret": "db"}}
    values = {**known, "tls": {"ca_file": ca_file()}, **fields}
    return _TARGETS.validate_python({name: value for name, value in values.items() if value is not None})


async def observe(
    kind: str,
    port: int,
    *,
    secret: str = PASSWORD,
    tokens: Mapping[str, str] | None = None,
    guard: Guard = LOCAL_GUARD,
    call: AttemptContext | None = None,
    **fields: Any,
) -> Observation:
    """Observe once."""
    secrets = MemorySecrets({"db": secret})
    dependencies = CheckDependencies(secrets, MemoryTokens(tokens or {}), Redactor(), guard)
    check = import_module(f"jobs.checks.kinds.{kind}").build(dependencies, {})
    target = make_target(kind, port, **fields)
    check.prepare(target)
    try:
        return await check.observe(target, call or AttemptContext("j@1", 1, PhaseClock()))
    finally:
        dependencies.close()


async def observe_for(seconds: float, kind: str, port: int, **fields: Any) -> tuple[ErrorClass, str]:
    """Observe until a deadline that begins with the connection, and return what the runner would report."""
    call = AttemptContext("j@1", 1, PhaseClock())
    target = make_target(kind, port, **fields)
    verdict: list[tuple[ErrorClass, str]] = []
    task = asyncio.ensure_future(observe(kind, port, call=call, **fields))
    for _ in range(3000):  # a busy machine loads the driver
        if task.done() or call.clock.current not in (None, "secrets"):
            break
        await asyncio.sleep(0.01)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        verdict.append(describe_deadline(call.clock, target.endpoint, seconds))
        task.cancel()
        await asyncio.wait({task})
        return verdict[0]
    observed = task.result()
    assert observed.error is not None
    return observed.error, observed.message


async def wait_until_shown(server: DatabaseServer, statement: str, text: str) -> None:
    """Wait until the server's answer to a statement of the administrator has this text."""
    for _ in range(1000):
        if text in server.run(statement):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{statement!r} never showed {text!r}")
