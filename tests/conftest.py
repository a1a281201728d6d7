"""What holds for every test: nothing leaves this machine, and the caller's environment does not leak in.

Also the door to the parts that are fixtures: `network_guard`, `azurite`, `storage_prefix`, `functions_worker`,
`text_snapshot`.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import pytest_timeout
from hypothesis import settings
from syrupy.assertion import SnapshotAssertion

from tests import lanes, needed_parts, outcomes
from tests.parts.azurite import Azurite, fresh_prefix, running_azurite
from tests.parts.functions_worker import WorkerFactory, worker_factory
from tests.parts.network_guard import GUARD, NetworkGuard
from tests.parts.snapshots import TextSnapshot
from tests.time_limits import Countdown, multiplier

_OURS = ("SCHEDULER_", "DD_", "APPLICATIONINSIGHTS_", "Azure", "AZURE_", "IDENTITY_", "MSI_", "OTEL_", "WEBSITE_")
ROOT = Path(__file__).resolve().parents[1]
_MARKED = {"azurite": "azurite", "functions_worker": "worker"}
_MULTIPLIER = multiplier()
_TIMEOUT_CHECK = 10.0
"""Seconds between two measurements of how busy the machine is, while a test runs."""
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})

# An example takes longer on a busy machine: a timeout ends a test that hangs.
settings.register_profile("project", parent=settings(), deadline=None)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Who starts the tests in the background of a script or with nohup has signals ignored, and so would have all that
    they start. A handler is not handed on. At SIGUSR1 the stacks of all threads are written, for tests/lanes.py."""
    if file := os.environ.pop(outcomes.FILE_VARIABLE, None):
        config.pluginmanager.register(outcomes.Recorder(file))
    if file := os.environ.pop(needed_parts.FILE_VARIABLE, None):
        config.pluginmanager.register(needed_parts.Finder(file))
    if hasattr(signal, "SIGUSR1"):
        # A copy of the file descriptor: while a test runs, pytest puts a file of its own in its place.
        faulthandler.register(signal.SIGUSR1, file=os.dup(2), all_threads=True)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool | None:
    """Let a test's timeout count seconds of an idle machine: on a busy one no test fails by time alone."""
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None  # pytest-timeout's own timer
    countdown = Countdown(settings.timeout * _MULTIPLIER)

    def check(*_: object) -> None:
        __tracebackhide__ = True
        if (left := countdown.left()) <= 0:
            pytest_timeout.timeout_sigalrm(item, settings)
        else:
            signal.setitimer(signal.ITIMER_REAL, min(left, _TIMEOUT_CHECK))

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # called by pytest-timeout
    signal.signal(signal.SIGALRM, check)
    check()
    return True


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let the garbage collector skip what lives as long as the session: thousands of tests and their modules, which it
    would traverse again and again for a tenth of the CPU time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a part with its name, property tests, and those that need one Python alone."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
        fixtures = getattr(item, "fixturenames", ())
        for fixture, marker in _MARKED.items():
            if fixture in fixtures:
                item.add_marker(marker)
        path = item.path.relative_to(ROOT).as_posix() if item.path.is_relative_to(ROOT) else ""
        if lanes.runs_once(path, (each.name for each in item.iter_markers())):
            item.add_marker("once")


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    GUARD.install()
    yield
    GUARD.active = False


@pytest.fixture(autouse=True)
def network_guard(_loopback_only: None) -> Iterator[NetworkGuard]:
    """The guard that refuses connections leaving this machine; an attempt left in `.attempts` fails the test."""
    GUARD.attempts.clear()
    GUARD.connects.clear()
    yield GUARD
    attempts, GUARD.attempts = GUARD.attempts, []
    assert not attempts, f"tests stay on loopback, but this test tried to {', '.join(attempts)}"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite, the same for all tests of the session."""
    with running_azurite() as azurite:
        yield azurite


@pytest.fixture
def storage_prefix() -> str:
    """Fresh start of names of tables and queues, for this test alone."""
    return fresh_prefix()


@pytest.fixture
def functions_worker() -> WorkerFactory:
    """Starts Microsoft's Python worker on a folder: `async with functions_worker(directory) as worker`."""
    return worker_factory()


@pytest.fixture
def text_snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compares a text with its file below __snapshots__; see tests/parts/snapshots.py."""
    return snapshot.use_extension(TextSnapshot)
