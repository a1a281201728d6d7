"""A plugin of pytest that lets modules be missing as they are in the image: `-p tests.image.pruned_imports`.

PRUNED_IMPORTS names a file with the paths of the modules that the image has of tools.image.pruning's SDKs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from tools.image.pruning import IMPORTED_BY_STATEMENTS

VARIABLE = "PRUNED_IMPORTS"


class PruningFinder:
    """Finds modules, but none that the image lacks."""

    def __init__(self, existing: frozenset[str]) -> None:
        self._existing = existing

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in IMPORTED_BY_STATEMENTS:
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is not None and found.origin is not None and found.origin not in self._existing:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)
        return found


if VARIABLE in os.environ:
    sys.meta_path.insert(0, PruningFinder(frozenset(Path(os.environ[VARIABLE]).read_text().splitlines())))
