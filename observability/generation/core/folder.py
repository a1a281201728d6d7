"""The folder of generated files. Called by the commands of `generate`.

DIR/datadog/...             the documents of the target, one file each
DIR/datadog/manifest.json   the list of these files: others in the folder are left alone
DIR/applied/datadog/...     what was applied last, see observability.generation.core.applied_folder
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from config.whole_files import replace_file
from observability.generation.core.document import GeneratedDocument, render_json

_MANIFEST = "manifest.json"


class InvalidFolder(Exception):
    """A file of the folder cannot be read or written. The message contains which, why, and what to change."""


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """Paths below the folder of the target, sorted: files that differ from the documents, and files without one."""

    outdated: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.outdated or self.removed)


def compare_folder(folder: Path, documents: Sequence[GeneratedDocument]) -> FolderChanges:
    """Return what `write_documents` would change. Raises InvalidFolder."""
    expected = _render_files(documents)
    outdated = sorted(path for path, text in expected.items() if _read_text(folder / path) != text)
    return FolderChanges(tuple(outdated), tuple(sorted(_read_manifest(folder) - expected.keys())))


def write_documents(folder: Path, documents: Sequence[GeneratedDocument]) -> FolderChanges:
    """Write the files that differ, delete those that an earlier call has written and that have no document any more.

    Raises InvalidFolder.
    """
    changes = compare_folder(folder, documents)
    expected = _render_files(documents)
    try:
        for path in changes.outdated:
            replace_file(folder / path, expected[path])
        for path in changes.removed:
            (folder / path).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidFolder(f"could not write {folder}: {error.strerror}; choose another folder by --out") from None
    return changes


def _render_files(documents: Sequence[GeneratedDocument]) -> dict[str, str]:
    files = {document.path: document.render() for document in documents}
    return {**files, _MANIFEST: render_json({"files": sorted(files)})}


def _read_manifest(folder: Path) -> set[str]:
    text = _read_text(folder / _MANIFEST)
    if text is None:
        return set()
    try:
        files = json.loads(text)["files"]
        paths = {PurePosixPath(file) for file in files}
    except (ValueError, KeyError, TypeError):
        raise InvalidFolder(f"{folder / _MANIFEST} is not a list of files; delete it and generate again") from None
    # Deleting files is limited to this folder, whatever the list contains.
    return {str(path) for path in paths if not path.is_absolute() and ".." not in path.parts}


def _read_text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidFolder(f"could not read {path}: {error.strerror}; choose another folder by --out") from None
