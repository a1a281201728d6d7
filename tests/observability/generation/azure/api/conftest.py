from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.observability.generation.azure.api.arm_server import ArmServer, arm_server
from tests.observability.generation.azure.api.commands import COMPONENT


@pytest.fixture
def arm() -> Iterator[ArmServer]:
    with arm_server() as server:
        server.resources[COMPONENT] = {"id": COMPONENT, "location": "westeurope", "properties": {}}
        yield server
