"""A real Prometheus scrapes the page with the configuration of docs/telemetry.md and a key of the role metrics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import yaml

from scheduler.authentication.own import KeyVerifier, OwnAuthenticator, Ways
from scheduler.authentication.port import Authenticated, Authentication, AuthenticationMode, RequestCredentials
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.access.service import NewKey
from scheduler.identity.principal import PROGRAM_PRINCIPAL, Caller, ChangeSource, Role
from scheduler.stores.gates import Pause
from scheduler.stores.identity import ApiKeys
from tests.parts.proc import free_port
from tests.parts.prometheus import Prometheus, running_prometheus
from tests.project import ROOT
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

PROGRAM = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)
DOUBLE = 'count by (__name__, job_name, outcome, le, severity, circuit) ({__name__=~"scheduler_.*"}) > 1'


def read_documented_config() -> dict[str, Any]:
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    section = page.split("\n## Prometheus\n", 1)[1]
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", section, flags=re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


@asynccontextmanager
async def served(client: ApiClient) -> AsyncIterator[str]:
    """Serve the API on loopback; gives host and port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(client.app, port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def wait_for_scrape(prometheus: Prometheus) -> None:
    """Wait for the second one from now on: the next one may have begun before."""
    scraped = await asyncio.to_thread(prometheus.query, "timestamp(up)")
    before = float(scraped[0]["value"][1]) if scraped else 0.0
    await asyncio.to_thread(prometheus.wait_for, f"timestamp(up == 1) > {before + 1.5}")


class KeyAuthenticator:
    """Verifies API keys; `verifier` is set once there is a store."""

    mode = AuthenticationMode.OWN
    verifier: KeyVerifier

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        return await OwnAuthenticator(self.verifier, Ways()).authenticate(request)


async def test_no_series_is_stale_or_double_after_jobs_change() -> None:
    keys = KeyAuthenticator()
    jobs = [entry(name, tags={"team": "pay"}) for name in ("checkout", "other-name", "removed")]
    async with ApiClient(jobs=jobs, authentication=Authentication(keys)) as client, served(client) as address:
        keys.verifier = KeyVerifier(ApiKeys(client.shop.store), client.shop.clock)
        created = await client.services.operations.api_keys.create(NewKey("prometheus", Role.METRICS), PROGRAM)
        config = read_documented_config()
        (scrape,) = config["scrape_configs"]
        scrape |= {"scheme": "http", "scrape_interval": "1s", "scrape_timeout": "1s"}
        scrape["static_configs"] = [{"targets": [address]}]
        with running_prometheus(config, {scrape["authorization"]["credentials_file"]: created.key}) as prometheus:
            before = await read_jobs(prometheus)
            await client.shop.pauses.set_pause(Pause("checkout", client.shop.clock.now()))
            client.shop.catalog.replace(JobSnapshot([entry("checkout", tags={"team": "shop"}), entry("new-name")]))
            after = await read_jobs(prometheus)
            paused, double, errors = [
                await asyncio.to_thread(prometheus.query, query)
                for query in ('scheduler_job_paused{job_name="checkout"} == 1', DOUBLE, "up != 1")
            ]
    assert before == {"checkout": ["pay"], "other-name": ["pay"], "removed": ["pay"]}
    assert after == {"checkout": ["shop"], "new-name": [""]}
    assert (len(paused), double, errors) == (1, [], [])


async def read_jobs(prometheus: Prometheus) -> dict[str, list[str]]:
    """Return the team of each series of scheduler_job_info by job, after the next scrape; and of no other series."""
    await wait_for_scrape(prometheus)
    found = await asyncio.to_thread(prometheus.query, 'count by (job_name, tag_team) ({__name__=~"scheduler_job_.*"})')
    infos = await asyncio.to_thread(prometheus.query, "scheduler_job_info")
    assert {each["metric"]["job_name"] for each in found} == {each["metric"]["job_name"] for each in infos}
    jobs: dict[str, list[str]] = {}
    for each in infos:
        jobs.setdefault(each["metric"]["job_name"], []).append(each["metric"].get("tag_team", ""))
    return jobs
