"""How many connections the API may have, so that runs always have descriptors."""

from __future__ import annotations

import logging
import resource

import pytest

from scheduler.connections import limits
from scheduler.connections.limits import (
    FILES_PER_RUN,
    MAX_CONNECTIONS,
    MIN_CONNECTIONS,
    RESERVED_FILES,
    max_connections,
    raise_file_limit,
)


@pytest.mark.parametrize(
    ("files", "concurrency", "most"),
    [
        (None, 200, MAX_CONNECTIONS),
        (65_536, 200, MAX_CONNECTIONS),
        (1024, 200, 524),
        (1024, 400, 124),
        (4096, 2000, MIN_CONNECTIONS),
    ],
)
def test_runs_have_their_share_first(files: int | None, concurrency: int, most: int) -> None:
    assert max_connections(files, concurrency) == most


def test_a_limit_that_is_too_low_is_reported_with_the_number_that_is_needed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "scheduler.connections"):
        assert max_connections(256, 200) == MIN_CONNECTIONS

    needed = RESERVED_FILES + 200 * FILES_PER_RUN + MIN_CONNECTIONS
    assert f"256, but 200 concurrent runs and the API need {needed}" in caplog.text


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, 4096),
        (1024, 1024, 1024),
        (1024, resource.RLIM_INFINITY, limits.MAX_FILE_LIMIT),
        (1024, 1_000_000_000, limits.MAX_FILE_LIMIT),
        (100_000, 1_000_000, 100_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_is_allowed(
    soft: int, hard: int, raised: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, expected: now.__setitem__(0, expected))

    assert raise_file_limit() == raised
    assert now[0] == (raised if raised is not None else soft, hard)


def test_a_limit_that_cannot_be_raised_stays_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with caplog.at_level(logging.WARNING, "scheduler.connections"):
        assert raise_file_limit() == 256

    assert "from 256 to 4096: not allowed; unchanged" in caplog.text
