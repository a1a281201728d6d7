"""CPU of a run of an Azure check against a run of an HTTP check of the same URL, on loopback with TLS.

The server is in the same process, so its work for both is measured, too. `fresh`: an HTTP check with its defaults;
`pooled`: one with `connection: kept`, as Azure checks have. Each run judges one expectation of the body.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from typing import Any

from bench._parts import finish, show
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Outcome
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.jobs.running.virtual_time import LoopClock
from tests.parts.azure_apis import APIS, AzureApis, entries_of, page_of
from tests.parts.http_server import Answer

API = "service bus queues"
EXPECT = [{"json": "$.value[*].properties.maxDeliveryCount", "equals": 10}]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--rounds", type=int, default=4)
    chosen = options.parse_args()
    rows = asyncio.run(_measure(chosen.runs, chosen.rounds))
    show(("entries", "fresh, us", "pooled, us", "azure, us", "to fresh", "to pooled"), rows)
    finish(azure_ratio=rows[1][4])


async def _measure(runs: int, rounds: int) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    async with AzureApis.open() as azure:
        target = APIS[API]["target"]
        auth = {"kind": "managed_identity", "scope": "https://management.azure.com/.default"}
        http = {"url": f"https://management.azure.com{target['resource']}?api-version=2021-11-01", "auth": auth}
        checks = {"fresh": http, "pooled": {**http, "connection": "kept"}, "azure": target}
        for count in (1, 20, 1000):
            azure.script = [Answer.of_json(page_of(API, entries_of(API, count)))]
            best = dict.fromkeys(checks, 1.0)
            for _ in range(rounds):
                for name, check in checks.items():
                    best[name] = min(best[name], await _cpu_of_run(azure, check, runs if count < 1000 else runs // 5))
            fresh, pooled, ours = best.values()
            found.append((count, fresh * 1e6, pooled * 1e6, ours * 1e6, ours / fresh, ours / pooled))
    return found


async def _cpu_of_run(azure: AzureApis, check: Mapping[str, Any], runs: int) -> float:
    job = JobDefinition.model_validate({"name": "checkout", "check": check, "expect": EXPECT})
    runner = Runner(azure.checks, CircuitBreakers(MemoryStates()), Heard(), LoopClock(), Redactor())
    began = time.process_time()
    for _ in range(runs):
        azure.dependencies.azure_budget.__init__(time.monotonic)  # type: ignore[misc]  # each run has a full budget
        run = await runner.run(job, TICKET)
        if run.outcome is not Outcome.SUCCEEDED:
            raise RuntimeError(run.message)
    return (time.process_time() - began) / runs


if __name__ == "__main__":
    main()
