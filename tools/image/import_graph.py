"""Finds the modules that programs import, by reading their source. Used by tools.image.assemble.

Nothing is imported or run. Statements inside functions count, those below `if TYPE_CHECKING` do not. A name that is
built at run time cannot be found, so the caller names such modules, or keeps the whole package.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path


class ImportGraph:
    """The modules below folders, which are searched in this order, as `sys.path` is."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._read: dict[str, tuple[Path | None, frozenset[str]]] = {}
        self._libraries: dict[Path, Mapping[str, Path]] = {}

    def reach(self, modules: Iterable[str], without: str | None = None) -> frozenset[Path]:
        """Return the files of these modules and of all that they import, directly or through others.

        `without`: a package that is not followed, even if they import it.
        """
        found: set[Path] = set()
        names = set(modules)
        open_names = list(names)
        while open_names:
            name = open_names.pop()
            if without is not None and f"{name}.".startswith(f"{without}."):
                continue
            file, imported = self._read_module(name)
            if file is not None:
                found.add(file)
            open_names.extend(imported - names)
            names |= imported
        return frozenset(found)

    def _read_module(self, name: str) -> tuple[Path | None, frozenset[str]]:
        """Return its file, and the names it imports with those of its parents, which are imported first."""
        if name not in self._read:
            file = self._find(name)
            imported = frozenset() if file is None else _parents(name) | _imports(name, file)
            self._read[name] = (file, imported)
        return self._read[name]

    def _find(self, name: str) -> Path | None:
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        for folder in self._folders:
            path = folder.joinpath(*parts)
            for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if file.is_file():
                    return file
            if library := self._libraries_in(path.parent).get(path.name):
                return library
        return None

    def _libraries_in(self, folder: Path) -> Mapping[str, Path]:
        """Return the compiled modules of a folder by name."""
        if folder not in self._libraries:
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            self._libraries[folder] = {name.partition(".")[0]: folder / name for name in names if name.endswith("so")}
        return self._libraries[folder]


def modules_below(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield every module of these packages and modules: its dotted name and its file."""
    for name in names:
        files = [folder / f"{name}.py"] if (folder / f"{name}.py").is_file() else (folder / name).rglob("*.py")
        for file in files:
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def named_modules(source: bytes, prefixes: tuple[str, ...]) -> Iterator[str]:
    """Yield the string constants that may name a module below these packages: arguments of import_module."""
    starts = tuple(f"{prefix}." for prefix in prefixes)
    if not any(start.encode() in source for start in starts):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(starts):
            yield node.value


def _imports(module: str, file: Path) -> frozenset[str]:
    is_source = file.suffix == ".py"
    return frozenset(imported_names(file.read_bytes(), module, file.name == "__init__.py") if is_source else ())


def imported_names(source: bytes, module: str, is_package: bool) -> Iterator[str]:
    """Yield what the source imports: modules, and names in modules, which may be modules as well."""
    package = module if is_package else module.rpartition(".")[0]
    for node in _statements(ast.parse(source).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = _absolute(node.module or "", node.level, package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports in a list of statements, and in those that these contain."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and _is_for_types(node.test):
            yield from _statements(node.orelse)
        else:
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                inner = getattr(node, part, None)
                if isinstance(inner, list):
                    yield from _statements(inner)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _absolute(name: str, level: int, package: str) -> str:
    if level == 0:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _parents(name: str) -> frozenset[str]:
    parts = name.split(".")
    return frozenset(".".join(parts[:number]) for number in range(1, len(parts)))
