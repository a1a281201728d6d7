"""What holds for every test: nothing leaves this machine, and the caller's environment does not leak in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.parts.network_guard import GUARD, NetworkGuard

_OURS = ("SCHEDULER_", "DD_", "APPLICATIONINSIGHTS_", "Azure", "AZURE_", "IDENTITY_", "MSI_", "OTEL_", "WEBSITE_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "worker: drives Microsoft's Functions worker package; needs Python 3.13")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    GUARD.install()
    yield
    GUARD.active = False


@pytest.fixture(autouse=True)
def network_guard(_loopback_only: None) -> Iterator[NetworkGuard]:
    """The guard that refuses connections leaving this machine; an attempt left in `.attempts` fails the test."""
    GUARD.attempts.clear()
    yield GUARD
    attempts, GUARD.attempts = GUARD.attempts, []
    assert not attempts, f"tests stay on loopback, but this test tried to {', '.join(attempts)}"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
