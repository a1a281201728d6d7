"""Schemathesis finds nothing in the API as Microsoft's worker serves it; see tests/acceptance/test_api_fuzz.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.azurite import Azurite
from tests.parts.functions_host import MASTER_KEY
from tests.parts.functions_worker import WorkerFactory
from tests.parts.fuzzing.engine import fuzz
from tests.parts.fuzzing.programs import PLATFORM_METHODS, fuzzed_program, worker_app


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(300)
def test_the_api_in_the_worker_keeps_what_its_document_promises(
    tmp_path: Path, azurite: Azurite, functions_worker: WorkerFactory
) -> None:
    with fuzzed_program(worker_app(tmp_path, azurite)) as app:
        found = fuzz(
            app,
            examples=2,
            phases=("examples", "fuzzing", "stateful"),
            headers={"x-functions-key": MASTER_KEY},
            methods=PLATFORM_METHODS,
        )

    assert found.failures == [], str(found)
    assert found.count_successful_operations() >= 25
