"""Decides which files of installed packages an image does not need. Used by tools.image.assemble.

Only files that cannot be used at run time go: modules of large SDKs that nothing imports, tests of packages, sources of
compiled modules, console scripts, and top-level folders that are not importable packages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

IMPORTED_BY_STATEMENTS = ("cel_expr_python", "datadog_api_client")
"""Packages whose modules are imported by statements alone, so that modules which no statement names are unused. Tests
compare this with what the program imports at run time.
"""
FOREIGN_NAMES = frozenset({"benchmark", "build", "conftest", "doc", "example", "sample", "script", "setup", "test"})
"""Top-level names that a distribution installs by mistake, as any other could, also with an s."""
INSTALLERS = ("pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack")
TEST_FOLDERS = frozenset({"test", "tests"})
SOURCE_SUFFIXES = frozenset({".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".cpp", ".po", ".pot"})
"""Sources of compiled modules and catalogs, and types: Python reads none of them."""


def unused_files(packages: Path, reached: Collection[Path]) -> Iterator[Path]:
    """Yield the files below the folder `packages` to remove. `reached`: the modules that the program imports."""
    test_folders = {folder for file in reached for folder in file.parents if folder.name in TEST_FOLDERS}
    for file in sorted(packages.rglob("*")):
        if file.is_file() and _is_unused(file, packages, reached, test_folders):
            yield file


def _is_unused(file: Path, packages: Path, reached: Collection[Path], test_folders: Collection[Path]) -> bool:
    top = file.relative_to(packages).parts[0]
    if not is_importable(top) and not top.endswith(".dist-info"):
        return True
    if file.suffix in SOURCE_SUFFIXES or is_foreign(top):
        return True
    if top in IMPORTED_BY_STATEMENTS and file.suffix in (".py", ".so"):
        return file not in reached
    tests = [folder for folder in file.parents if folder.name in TEST_FOLDERS and folder != packages]
    return bool(tests) and not any(folder in test_folders for folder in tests)


def is_importable(top: str) -> bool:
    """Return whether the name of a file or folder is that of a module: `six.py`, `yaml`, `_cffi_backend.abi3.so`."""
    name, _, suffix = top.partition(".")
    return name.isidentifier() and (suffix in ("", "py") or suffix.endswith("so"))


def is_foreign(top: str) -> bool:
    name = top.partition(".")[0]
    return name.removesuffix("s") in FOREIGN_NAMES or name in {*INSTALLERS, "bin", "testing"}
