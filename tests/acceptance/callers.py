"""Runs of one job, all at once, as a process makes them: for tests in which several processes ask one target.

`python -m tests.acceptance.callers '{...}'` opens the Azure store that the JSON names, says `ready`, waits for a line,
makes the runs and prints their outcomes as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from jobs.checks import Checks
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import Guard, TargetRules
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs import Ticket
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.gates import StoredCircuits
from scheduler.stores.port import Store
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.run_parts import Heard

PATIENCE = 60.0
"""Seconds. A store that is too slow lets runs through, which is not what is looked at here."""


async def call(store: Store, job: JobDefinition, count: int) -> dict[str, int]:
    """So many runs at once; how many of them ended how."""
    redactor = Redactor()
    guard = Guard(TargetRules(networks=(ip_network("127.0.0.0/8"),)))
    checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), redactor, guard=guard))
    circuits = CircuitBreakers(StoredCircuits(store), timeout_s=PATIENCE)
    runner = Runner(checks, circuits, Heard(), SystemClock(), redactor)
    now = datetime.now(UTC)
    tickets = [Ticket.scheduled(job.name, now + timedelta(seconds=number), "g1") for number in range(count)]
    try:
        runs = await asyncio.gather(*(runner.run(job, ticket) for ticket in tickets))
    finally:
        await checks.aclose()
    return dict(Counter(run.outcome.value for run in runs))


async def _main(expected: dict[str, object]) -> None:
    store = await open_azure_tables(
        connection_string=str(expected["connection_string"]), prefix=str(expected["prefix"])
    )
    job = JobDefinition.model_validate(expected["job"])
    await store.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await call(store, job, int(str(expected["count"])))), flush=True)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
