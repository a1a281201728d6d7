"""Which parts the selected tests need in addition to packages of Python. `./dev test PATH` installs only these.

A test needs a part if it has the part's marker, or if its module imports, directly or by other modules of tests, the
module that uses the part.
"""

from __future__ import annotations

import ast
import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

FILE_VARIABLE = "SCHEDULER_TEST_NEEDED_PARTS"
"""The environment variable with the path of the file for the names of the parts."""
WORKER = "worker"
MARKED = {"azurite": "azurite", "browser": "chromium", WORKER: WORKER}
"""Markers, with the part of each."""
USERS = {
    "tests.parts.azurite": "azurite",
    "tests.parts.kusto": "kusto",
    "tests.parts.axe": "axe",
    "tests.parts.chromium": "chromium",
    "tests.parts.alertmanager.program": "alertmanager",
    "tests.parts.prometheus": "prometheus",
    "tests.parts.blackbox_exporter": "blackbox",
    "tests.parts.databases": "databases",
    "tests.infra.programs": "infra",
    "tools.infra.kubernetes_schemas": "kubernetes_schemas",
    "tools.infra.helm": "helm",
    "tests.project.jenkins.build": "groovy",
}
"""Modules that use a part, with the part of each."""
_ROOT = Path(__file__).resolve().parents[1]


class Finder:
    """Writes the names of the parts to a file and ends the process. A pytest plugin."""

    def __init__(self, path: str) -> None:
        self._path = path

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        Path(self._path).write_text(json.dumps(sorted(find_parts(session.items))))
        os._exit(0)  # no other plugin may conclude from this session: one would delete the snapshots of all tests


def find_parts(tests: Iterable[pytest.Item]) -> set[str]:
    """Return the names of the parts that the tests need."""
    parts: set[str] = set()
    modules: set[str] = set()
    for test in tests:
        parts |= {part for marker, part in MARKED.items() if test.get_closest_marker(marker)}
        if test.path.is_relative_to(_ROOT):
            modules.add(".".join(test.path.relative_to(_ROOT).with_suffix("").parts))
    unseen = list(modules)
    while unseen:
        new = _imports_of(unseen.pop()) - modules
        modules |= new
        unseen += new
    return parts | {USERS[module] for module in modules & USERS.keys()}


@functools.cache
def _imports_of(module: str) -> frozenset[str]:
    """Return the names that the module imports from tests and tools; some of them are no modules."""
    path = _ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if name.startswith(("tests.", "tools.infra.")))
