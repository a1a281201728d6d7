"""Compiles modules to byte code that is the same in each build. Used by tools.image.assemble.

The byte code ignores file times, because the file system of a container stays read-only, and is compiled by one process
in one order. Modules without byte code are compiled at each import, so only those that are seldom imported have none.
"""

from __future__ import annotations

import py_compile
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

LOADED_BY_NAME = frozenset(
    {"anyio", "apprise", "asgiref", "dns", "opentelemetry", "pg8000", "pymysql", "pytds", "redis", "uvicorn"}
)
"""Packages whose modules are imported by name, by themselves or by the program: each gets byte code."""


def compile_modules(files: Iterable[Path], folder: Path, final_folder: PurePosixPath) -> None:
    """Compile these modules below `folder`. `final_folder`: where the image has it, for stack traces."""
    for file in sorted(files):
        py_compile.compile(
            str(file),
            dfile=str(final_folder / file.relative_to(folder).as_posix()),
            doraise=True,
            quiet=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def modules_to_compile(packages: Path, often_imported: Collection[Path]) -> Iterable[Path]:
    """Yield the modules of installed packages that get byte code: these, and those loaded by name."""
    for file in packages.rglob("*.py"):
        if file in often_imported or file.relative_to(packages).parts[0] in LOADED_BY_NAME:
            yield file
