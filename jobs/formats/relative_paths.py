"""Paths in job files that are relative to the folder of the file. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath


def check_path_below(path: str) -> str:
    """Return a relative path that stays below its folder by its text. Raises ValueError."""
    parts = PurePosixPath(path)
    if "\\" in path or ":" in path or "\0" in path or parts.is_absolute() or ".." in parts.parts or not parts.name:
        raise ValueError(
            f"{path!r:.80} is not a path below the folder of the job file: write it like rotas/primary.ics"
        )
    return path
