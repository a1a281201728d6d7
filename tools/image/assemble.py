"""Makes the two layers of an image, packages and program: `python3 -m tools.image.assemble`. The Dockerfile runs it.

    assemble PACKAGES PROGRAM LAYERS --packages-path PATH --program-path PATH

PACKAGES is a folder that pip installed into, PROGRAM the folder of the program. LAYERS/packages and LAYERS/program
become trees as they are copied to the image's root, with the two below their PATH. Both depend on the contents of
PACKAGES and PROGRAM alone: file times, modes and byte code are the same in each build. A package whose license is not
permitted ends the build.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

from tools.image.byte_code import compile_modules, modules_to_compile
from tools.image.import_graph import ImportGraph, modules_below, named_modules
from tools.image.licenses import FILE, find_refused, read_licenses
from tools.image.native_libraries import strip_library
from tools.image.pruning import IMPORTED_BY_STATEMENTS, unused_files
from tools.image.records import rewrite_records

FILE_TIME = 315532800
"""1980-01-01, in Unix seconds: of each file, so that a layer changes with its contents alone."""
PROGRAM = ("function_app", "jobs", "config", "importers", "observability", "scheduler")
SELDOM_IMPORTED = "observability.generation"
"""Commands that generate dashboards: what only they import gets no byte code."""
WORKER = "azure_functions_runtime"
"""What Microsoft's host imports from the image, in addition to the program."""


def assemble(packages: Path, program: Path, layers: Path, packages_path: str, program_path: str) -> None:
    """Move the packages and copy the program into their layers."""
    separate_files(packages)
    licenses = read_licenses(distributions(path=[str(packages)]))
    if refused := list(find_refused(licenses)):
        raise SystemExit("\n".join(refused))
    graph = ImportGraph([program, packages])
    prune(packages, find_reached(graph, program))
    often_imported = find_reached(graph, program, without=SELDOM_IMPORTED)
    moved = layers / "packages" / packages_path
    moved.parent.mkdir(parents=True)
    copied = layers / "program" / program_path
    shutil.copytree(program, copied)
    compile_modules(modules_to_compile(packages, often_imported), packages, PurePosixPath("/", packages_path))
    compile_modules(copied.rglob("*.py"), copied, PurePosixPath("/", program_path))
    (packages / FILE).write_text("".join("\t".join(each) + "\n" for each in licenses), encoding="utf-8")
    shutil.move(packages, moved)
    normalize(layers)


def separate_files(packages: Path) -> None:
    """Replace each file that is also in another place by a copy: what follows changes contents, modes and times.

    uv installs hard links or symbolic links to its cache, which all environments of a machine share.
    """
    for file in [each for each in packages.rglob("*") if each.is_file()]:
        is_elsewhere = file.is_symlink() and not file.resolve().is_relative_to(packages.resolve())
        if is_elsewhere or file.stat().st_nlink > 1:
            copy = file.with_name(f"{file.name}.copy")
            shutil.copy2(file, copy)
            copy.replace(file)


def find_reached(graph: ImportGraph, program: Path, without: str | None = None) -> frozenset[Path]:
    """Return the files of all modules that the program or Microsoft's worker imports, directly or through others.

    `without`: a package of the program that is ignored.
    """
    own = dict(modules_below(program, PROGRAM))
    return graph.reach([*own, *_named(own, without), WORKER], without)


def _named(modules: Mapping[str, Path], without: str | None) -> Iterator[str]:
    """Yield the modules that these import by a name in a table."""
    for module, file in modules.items():
        if without is None or not f"{module}.".startswith(f"{without}."):
            yield from named_modules(file.read_bytes(), IMPORTED_BY_STATEMENTS)


def prune(packages: Path, reached: frozenset[Path]) -> None:
    """Remove what is unused, with the folders that are empty then, and what is not loaded of shared libraries."""
    for file in list(unused_files(packages, reached)):
        file.unlink()
    for folder in sorted((each for each in packages.rglob("*") if each.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    for file in packages.rglob("*.so*"):
        file.write_bytes(strip_library(file.read_bytes()))
    rewrite_records(packages)


def normalize(tree: Path) -> None:
    """Give each file and folder the same time, and modes that do not depend on the umask of a checkout."""
    for path in [*sorted(tree.rglob("*"), reverse=True), tree]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (FILE_TIME, FILE_TIME))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the layers of an image.")
    parser.add_argument("packages", type=Path)
    parser.add_argument("program", type=Path)
    parser.add_argument("layers", type=Path)
    parser.add_argument("--packages-path", required=True)
    parser.add_argument("--program-path", required=True)
    read = parser.parse_args(words)
    assemble(read.packages, read.program, read.layers, read.packages_path, read.program_path)


if __name__ == "__main__":
    main()
