"""Prepares the overview, so that its first request does not wait for it. Called by scheduler.api.lazy_app."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import FastAPI

from scheduler.api.dashboard.overview import OverviewView
from scheduler.api.dashboard.readers import PageReaders
from scheduler.api.dashboard.rendering.templates import compile_template
from scheduler.features.overview.summaries import OverviewCriteria
from scheduler.services import Services
from scheduler.stores.port import StoreError


async def prepare_overview(api: FastAPI, services: Services) -> None:
    """Compile its templates, in a thread, and read the jobs of its first page into the caches of the readers."""
    await asyncio.to_thread(compile_template, "overview.html")
    readers: PageReaders = api.state.readers
    reader, view = readers.of(services).overview, OverviewView(OverviewCriteria())
    with suppress(StoreError):  # the page itself reports it
        overview = await reader.read_overview()
        await reader.read_rows(overview, await reader.select(overview, view), view)
