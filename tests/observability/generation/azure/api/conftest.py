from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.arm_server import ArmServer, arm_server


@pytest.fixture
def arm() -> Iterator[ArmServer]:
    with arm_server() as server:
        yield server
