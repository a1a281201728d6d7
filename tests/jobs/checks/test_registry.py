from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.checks import Checks
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.targets import HttpTarget as Target
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.parts.http_target import HttpTarget


async def test_a_target_is_queried_by_the_check_of_its_kind(target: HttpTarget) -> None:
    checks = Checks(
        CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), guard=LOCAL_GUARD, user_agent="scheduler/9")
    )
    observed = await checks.observe(Target(url=target.url), AttemptContext("job@1", 1, PhaseClock()))
    await checks.aclose()
    assert (observed.status, target.last.headers["user-agent"]) == (200, "scheduler/9")


async def test_only_the_kinds_that_are_queried_are_made_and_closed() -> None:
    checks = Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), guard=LOCAL_GUARD))
    assert not checks
    checks.prepare([Target(url="http://127.0.0.1:9/")])
    assert set(checks) == {"http"}
    await checks.aclose()


def test_a_kind_that_there_is_none_of_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        Checks(CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), guard=LOCAL_GUARD))["of another program"]


def test_the_registry_alone_loads_no_http_library() -> None:
    code = "import sys, jobs.checks; print(sorted({'httpx', 'h11', 'ssl', 'regex'} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "httpx" not in found
    assert "regex" not in found
