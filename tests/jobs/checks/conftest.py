"""Fixtures of the check tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget


@pytest.fixture
async def run_check() -> AsyncIterator[HttpCheckDriver]:
    """An HTTP check without secrets."""
    async with open_http_check() as ready:
        yield ready


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    """A well-behaved target on loopback."""
    async with HttpTarget() as server:
        yield server
