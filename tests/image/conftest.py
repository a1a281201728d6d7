"""The installed packages and the program, as the Dockerfile's build stage has them."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from tests.project import ROOT
from tools.image.assemble import find_reached
from tools.image.import_graph import ImportGraph

INSTALLED = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="session")
def import_graph() -> ImportGraph:
    return ImportGraph([ROOT, INSTALLED])


@pytest.fixture(scope="session")
def reached_modules(import_graph: ImportGraph) -> frozenset[Path]:
    """What the program imports, of itself and of the installed packages."""
    return find_reached(import_graph, ROOT)
