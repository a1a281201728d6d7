"""Two replicas on Azurite: the leader is killed, then the next one is stopped, and their clocks differ.

`./dev bench replicas` plays the same for longer, and counts the requests of the store.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.replicas import Scenario, play
from tests.parts.azurite import Azurite

SCENARIO = Scenario(jobs=16, seconds=40.0, stop=9.0, skew=2.0, every=5, settle=90.0)


@pytest.mark.slow
def test_each_instant_runs_once_and_each_message_arrives_once(
    azurite: Azurite, storage_prefix: str, tmp_path: Path
) -> None:
    result = play(SCENARIO, tmp_path, azurite, storage_prefix)

    assert (result.missing, result.doubled) == ([], [])
    assert result.repeated_messages == []  # on a busy machine the failing time can be too short for an incident
    assert result.instants >= SCENARIO.jobs * 5
