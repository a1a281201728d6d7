"""Writes a file as a whole: who reads it never sees half of it, and a command that is killed leaves none.

Used by the commands `import` and `export-jobs`, and by observability.generation.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MODE = 0o644


def replace_file(path: Path, text: str, *, mode: int = _MODE) -> None:
    """Create or replace the file, and create its folder if it is missing. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        os.chmod(draft, mode)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
