"""The readers of the pages, which cache results. Called by the page modules.

Each Services has its own readers, so that a caller that is limited to tags never gets a result of other jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from fastapi import FastAPI, Request
from fastapi.responses import Response

from scheduler.api.dashboard.overview import OverviewReader, OverviewView
from scheduler.api.dashboard.rendering.page import error_page_response, respond_shared
from scheduler.api.dashboard.rendering.page_caches import KnownPages
from scheduler.api.dashboard.rendering.templates import compile_template
from scheduler.api.negotiation import register_problem_pages
from scheduler.features.changes.job_markers import JobMarkerReader
from scheduler.features.circuits.queries import OpenCircuitFinder
from scheduler.features.forecast.load import DurationReader
from scheduler.features.forecast.queries import ForecastReader, LoadReader
from scheduler.features.overview.summaries import OverviewCriteria
from scheduler.features.runs.queries import OutageReader
from scheduler.features.statistics.availability import AvailabilityReader
from scheduler.services import Services
from scheduler.stores.port import StoreError

_Page = TypeVar("_Page", bound=Callable[..., Awaitable[Response]])
_SHARED_SECONDS: Final = 5.0
"""After which a page is rendered although no fact has changed: a run may have started, an instant may have passed."""


@dataclass(frozen=True, slots=True)
class Readers:
    overview: OverviewReader
    availability: AvailabilityReader
    markers: JobMarkerReader
    forecast: ForecastReader
    open_circuits: OpenCircuitFinder
    load: LoadReader


class PageReaders:
    """Creates the readers of a Services once, and forgets them with it."""

    def __init__(self) -> None:
        self._readers: WeakKeyDictionary[Services, Readers] = WeakKeyDictionary()

    def of(self, services: Services) -> Readers:
        readers = self._readers.get(services)
        if readers is None:
            outages = OutageReader(services.queries)
            readers = self._readers[services] = Readers(
                OverviewReader(services),
                AvailabilityReader(services.queries, services.uptimes, outages, services.clock),
                JobMarkerReader(services.audit_queries, services.markers),
                ForecastReader(services.catalog, services.queries, services.suppressions, services.clock),
                OpenCircuitFinder(services.circuits, services.clock),
                LoadReader(DurationReader(services.queries, services.stats, services.clock), services.clock),
            )
        return readers


def prepare_dashboard(api: FastAPI) -> None:
    """Prepare the caches of readers and pages, and let browsers get problems as pages. Called by scheduler.api.app."""
    register_problem_pages(api, error_page_response)
    api.state.readers = PageReaders()
    api.state.known_pages = KnownPages()


def readers_of(request: Request, services: Services) -> Readers:
    """Return the readers of these services."""
    readers: PageReaders = request.app.state.readers
    return readers.of(services)


def share_page(page: _Page) -> _Page:
    """Let the tabs of a caller share a page of one job, the parameter `name` of its route, or of all jobs.

    It is rendered again after a run or a change of these jobs, and every few seconds.
    """

    @wraps(page)
    async def respond_once(request: Request, services: Services, **values: Any) -> Response:
        if values.get("csv") is not None:
            return await page(request, services, **values)  # not a page
        reader = readers_of(request, services).overview
        try:
            overview, job = await reader.read_overview(), values.get("name")
        except StoreError:
            return await page(request, services, **values)  # it may need no store
        facts: Any = overview.revision, None
        urgent: object = overview.broken
        if isinstance(job, str):
            state = overview.states.get(job)
            urgent = state and state.number
            facts = overview.facts.jobs, state, overview.facts.pauses.get(job), overview.facts.incidents
        period = services.clock.monotonic() // _SHARED_SECONDS

        async def render() -> Response:
            return await page(request, services, **values)

        return await respond_shared(request, services, reader.pages, (facts, period), render, urgent)

    return cast(_Page, respond_once)


async def prepare_overview(api: FastAPI, services: Services) -> None:
    """Compile its templates, in a thread, and read the jobs of its first page into the caches of the readers."""
    await asyncio.to_thread(compile_template, "overview.html")
    readers: PageReaders = api.state.readers
    reader, view = readers.of(services).overview, OverviewView(OverviewCriteria())
    with suppress(StoreError):  # the page itself reports it
        overview = await reader.read_overview()
        await reader.read_rows(overview, await reader.select(overview, view), view)
