"""What was applied last, in `DIR/applied/<target>`: the base of the next merge, and of drift.

Called by observability.generation.core.applying. The folder belongs into version control, next to the generated files:
without it, each value that a person changed is a conflict at the next apply.
"""

from __future__ import annotations

import json
from pathlib import Path

from config.whole_files import replace_file
from observability.generation.core.document import render_json
from observability.generation.core.folder import InvalidFolder
from observability.generation.core.reconciliation import AppliedDocument

_VERSION = 1


class AppliedFolder:
    """One file a document. Every method raises InvalidFolder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, AppliedDocument]:
        """Return what is known of each document, by its path, sorted."""
        files = sorted(self._folder.rglob("*.json")) if self._folder.is_dir() else []
        documents = [self._read_file(file) for file in files]
        return {document.path: document for document in documents}

    def store(self, document: AppliedDocument) -> None:
        value = {
            "version": _VERSION,
            "path": document.path,
            "kind": document.kind,
            "id": document.tool_id,
            "generated": document.generated,
            "stored": document.stored,
            "item_keys": [list(key) for key in document.item_keys],
        }
        try:
            replace_file(self._file(document.path), render_json(value))
        except OSError as error:
            raise InvalidFolder(f"could not write {self._file(document.path)}: {error.strerror}") from None

    def remove(self, path: str) -> None:
        try:
            self._file(path).unlink(missing_ok=True)
        except OSError as error:
            raise InvalidFolder(f"could not delete {self._file(path)}: {error.strerror}") from None

    def _file(self, path: str) -> Path:
        return self._folder / (path if path.endswith(".json") else f"{path}.json")

    def _read_file(self, file: Path) -> AppliedDocument:
        try:
            value = json.loads(file.read_bytes())
            if value["version"] != _VERSION:
                raise InvalidFolder(f"{file} has version {value['version']}, expected {_VERSION}; use a newer program")
            keys = tuple(tuple(map(str, key)) for key in value["item_keys"])
            known = value["path"], value["kind"], value["id"], value["generated"], value["stored"]
            return AppliedDocument(*known, keys)
        except OSError as error:
            raise InvalidFolder(f"could not read {file}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise InvalidFolder(
                f"{file} is not a record of an applied document; restore it from version control, or delete it"
            ) from None
