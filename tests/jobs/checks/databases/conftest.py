"""Servers of the database tests, started once a module, and one question to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.databases import DatabaseServer, running_mariadb, running_postgres, running_valkey


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    with running_postgres(_folder(tmp_path_factory, "postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    with running_mariadb(_folder(tmp_path_factory, "mariadb")) as server:
        yield server


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    with running_valkey(_folder(tmp_path_factory, "valkey")) as server:
        yield server


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name) / "server"
