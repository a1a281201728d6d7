"""The registry: every channel by its kind, and nothing heavy imported with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from jobs.model_base import find_secret_names
from jobs.notifications.channels import CHANNELS, CHANNELS_BY_KIND
from tests.parts.notifications import make_channel

HEAVY = {"apprise", "azure", "httpcore", "httpx", "jinja2", "requests", "smtplib"}


def test_each_channel_has_a_kind() -> None:
    assert len(CHANNELS_BY_KIND) == len(CHANNELS)


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValidationError) as error:
        make_channel(kind="pigeon")
    assert all(kind in str(error.value) for kind in CHANNELS_BY_KIND)


def test_the_secrets_of_a_channel_are_found_by_name() -> None:
    made = make_channel(
        kind="webhook",
        url={"secret": "hook-url"},
        headers={"X-Key": {"secret": "hook-header"}},
        signing_key={"secret": "hook-signature"},
    )
    assert find_secret_names(made) == {"hook-url", "hook-header", "hook-signature"}


def test_a_job_file_with_channels_is_read_without_heavy_libraries() -> None:
    code = f"import sys, jobs.notifications.channels; print(*{HEAVY!r} & sys.modules.keys())"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == []
