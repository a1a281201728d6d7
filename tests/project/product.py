"""The product's Python files as syntax trees, for the tests of its layout and names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tests.project import ROOT
from tests.project.test_files import files

PACKAGES = ("jobs", "scheduler", "config", "importers", "observability", "infra")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """`name`: dotted; of a package that of its folder."""

    path: str
    name: str
    tree: ast.Module
    lines: int

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    def imports(self) -> frozenset[str]:
        """Return the modules, and the names in them, that this one imports, also inside functions."""
        return self._imports

    @cached_property
    def _imports(self) -> frozenset[str]:
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(found)

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


@cache
def modules() -> tuple[Module, ...]:
    return tuple(
        _module(path) for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES
    )


@cache
def by_name() -> dict[str, Module]:
    return {module.name: module for module in modules()}


def _module(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(ROOT)
    name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    return Module(str(relative), name, ast.parse(text), text.count("\n"))
