"""Writes the files of an import, all or none of them. Called by import_jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from scheduler.cli.output import EXIT_FAILED, fail

if TYPE_CHECKING:
    from importers.report import ImportReport

_JOB_FILE_SUFFIXES = (".yaml", ".yml")


def plan_files(result: ImportReport, to: str | None) -> dict[Path, str]:
    """Return the text of each file to write. `to`: see the option; `-` prints the job file."""
    if to is None:
        return {}
    if to == "-":
        print(result.text, end="")
        return {}
    path = Path(to)
    if path.suffix in _JOB_FILE_SUFFIXES and not path.is_dir():
        return {path: result.text}
    if path.suffix and not path.is_dir():
        fail(f"--to: expected a name that ends in {' or '.join(_JOB_FILE_SUFFIXES)}, a folder, or -, got {to!r}")
    files: dict[Path, str] = {}
    for source, text in result.texts_by_file.items():
        stem = PurePath(source).stem.lstrip(".") or result.source
        name, number = f"{stem}.yaml", 1
        while path / name in files:
            number += 1
            name = f"{stem}-{number}.yaml"
        files[path / name] = text
    return files


def check_free(files: Iterable[Path]) -> None:
    """End the command if a file exists."""
    existing = [str(file) for file in files if file.exists() or file.is_symlink()]
    if existing:
        fail(f"would replace {', '.join(existing)}: use --overwrite, or another --to")


def write_files(files: Mapping[Path, str]) -> None:
    """Write each file completely or not at all."""
    from config.whole_files import replace_file

    for file, text in files.items():
        try:
            replace_file(file, text)
        except OSError as error:
            fail(f"could not write {file}: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)
