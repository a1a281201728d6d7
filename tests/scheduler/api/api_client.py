"""The whole API over a `Shop`: ask it as a client does, and look behind it.

Every answer is compared with /api/openapi.json: a status that it does not describe fails the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from jobs.checks.binding.rules import Bindings
from jobs.checks.guard import Guard, TargetRules
from jobs.runs import Ticket
from observability.telemetry import Telemetry
from scheduler.api.app import create_api
from scheduler.app.definition_review import ProgramDefinitionReviewer
from scheduler.authentication.port import Authentication, FunctionKeyAuthenticator, open_authentication
from scheduler.catalog.catalog import CatalogJob
from scheduler.dispatch.port import InProcessDispatch
from scheduler.features.backtest.service import GROUP_WAIT, build_backtester
from scheduler.features.stored_jobs.queries import StoredJobQueries
from scheduler.health import Health, HealthStatus, PartHealth
from scheduler.metrics.page import MetricsPage, SourceParts, create_sources
from scheduler.rate_limits.limiter import RateLimitRules, RateLimits
from scheduler.services import ServiceOptions, Services
from scheduler.stores.runs.repository import RunRecord
from scheduler.watchdog import JobWatch, RunActivity, Watchdog
from tests.jobs.running.run_parts import Step
from tests.parts.http_functions import behind_functions_host
from tests.scheduler.api.described import check_described
from tests.scheduler.fakes import Shop
from tests.scheduler.stores.memory import MemoryData

BASE = "http://scheduler.test"
DAY = 86400.0
OPTIONS = ServiceOptions(400 * DAY, 30 * DAY, 400 * DAY, GROUP_WAIT, environment="test", version="1.2.3")


def _default_authentication(requires_key: bool) -> Authentication:
    if requires_key:
        return Authentication(FunctionKeyAuthenticator(), is_remote=True)
    return open_authentication()


class ApiClient:
    """`async with Desk(...) as desk: answer = await desk.get("/api/jobs")`. Steps and jobs are the Shop's."""

    def __init__(
        self,
        *steps: Step,
        jobs: Sequence[CatalogJob] | None = None,
        data: MemoryData | None = None,
        requires_key: bool = False,
        rate_limits: RateLimitRules | None = None,
        authentication: Authentication | None = None,
        max_jobs: int = 10_000,
    ) -> None:
        """`max_jobs`: see scheduler.metrics.families."""
        self.shop = Shop(*steps, jobs=jobs, data=data)
        self.dispatch = InProcessDispatch(self.shop.worker.submit)
        self.health = Health()
        clock, catalog = self.shop.clock, self.shop.catalog
        self.noted = RunActivity(clock)
        job_watch = JobWatch(catalog, self.shop.runs, self.shop.pauses, self.noted, clock)
        self.watchdog = Watchdog(
            job_watch, self.noted, self.shop.store, Telemetry([]), clock, places=self.shop.worker.place_usage
        )
        self.services = self._create_services()
        self.services.rate_limits = RateLimits(rate_limits or RateLimitRules(), clock)
        self.services.authentication = authentication or _default_authentication(requires_key)
        self.services.metrics = self._create_metrics_page(max_jobs)
        self.app = create_api(self.services)
        transport = httpx.ASGITransport(behind_functions_host(self.app) if requires_key else self.app)
        self._client = httpx.AsyncClient(transport=transport, base_url=BASE)

    def _create_services(self) -> Services:
        """The parts of the shop, and of what is in its store."""
        shop = self.shop
        services = Services(OPTIONS, shop.catalog, shop.store, shop.clock)
        services.repositories, services.runs, services.pauses = shop.repositories, shop.runs, shop.pauses
        services.states, services.heartbeat_reader, services.circuits = shop.states, shop.beats, shop.circuits
        services.audit, services.operations = shop.audit, shop.operations(self.dispatch)
        services.health, services.watchdog, services.secret_monitor = self.health, self.watchdog, shop.secret_watch
        services.definitions = ProgramDefinitionReviewer(shop.secrets, Guard(TargetRules()), Bindings())
        services.stored_jobs = StoredJobQueries(shop.composer, shop.stored)
        services.backtester = build_backtester(shop.runs, shop.repositories)
        return services

    def _create_metrics_page(self, max_jobs: int) -> MetricsPage:
        shop = self.shop
        parts = SourceParts(
            shop.catalog,
            shop.runs,
            shop.pauses,
            shop.repositories,
            shop.circuits,
            self.watchdog,
            shop.states.states_of,
            self.services.objectives,
            OPTIONS.rollup_age,
            OPTIONS.version,
            tags=("team",),
            max_jobs=max_jobs,
        )
        return MetricsPage(create_sources(parts), shop.clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shop.worker.drain(0)
        await self._client.aclose()

    async def get(self, path: str, **query: str | int) -> httpx.Response:
        return await self.request("GET", path, params=query or None)

    async def post(self, path: str, **query: str | int) -> httpx.Response:
        return await self.request("POST", path, params=query or None)

    async def post_json(self, path: str, body: object) -> httpx.Response:
        """POST with a body of JSON."""
        return await self.request("POST", path, json=body)

    @property
    def cookies(self) -> httpx.Cookies:
        """Those of earlier answers, which are sent."""
        return self._client.cookies

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = await self._client.request(method, path, **more)
        check_described(answer, self.app)
        return answer

    async def get_all(self, path: str, key: str, **query: str | int) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        while True:
            page = (await self.get(path, **query)).json()
            found += page[key]
            if page["continuation"] is None:
                return found
            query["continuation"] = page["continuation"]

    async def perform(self, job: str = "checkout", seconds: float = 0.0) -> str:
        """Run a job as if it had been due so long after now; returns the run's id."""
        ticket = self.shop.ticket(seconds, job)
        await self.shop.worker.execute(ticket)
        return ticket.id

    async def enqueue(self, job: str = "checkout", seconds: float = 0.0) -> RunRecord:
        """A run that waits for its worker."""
        return await self.shop.runs.enqueue(self.shop.ticket(seconds, job))

    async def store_finished(self, ticket: Ticket, run: Any) -> None:
        """Put a finished run into the store as it is."""
        now = self.shop.clock.now()
        claim = await self.shop.runs.claim(ticket, "me", now, now)
        await self.shop.runs.finish(claim, run)  # type: ignore[arg-type]  # a fresh ticket is always claimed

    def add_health_part(self, name: str, status: HealthStatus, message: str = "") -> None:
        """Add a part to health that is so."""

        async def probe() -> Sequence[PartHealth]:
            return (PartHealth(name, status, message),)

        self.health.add_probe(name, probe)

    def break_store(self) -> None:
        self.shop.store.breaks_after = 0

    def repair_store(self) -> None:
        self.shop.store.breaks_after = None
