"""Chooses where an exporter retains its requests. Called by observability.telemetry."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from observability.exporters.spool.folder import SpoolFolder
from observability.exporters.spool.spool import Spool

if TYPE_CHECKING:
    from config.settings.model import Settings

_log = logging.getLogger("observability.exporters")


def open_spool(settings: Settings, exporter: str, destination: str) -> Spool:
    """Open the folder of the exporter; without a writable one the spool is in memory.

    `destination`: what identifies it. Requests for another one, of earlier settings, stay in their own folder.
    """
    digest = hashlib.sha256(destination.encode()).hexdigest()[:8]
    path = find_spool_folder(settings) / f"{exporter}-{digest}"
    try:
        return Spool(SpoolFolder(path, int(settings.telemetry.spool.max_size)))
    except OSError as error:
        problem = f"{type(error).__name__}: {error}"
        _log.warning("could not open a folder for telemetry that waits: %s; it is retained in memory", problem)
        return Spool(problem=problem)


def find_spool_folder(settings: Settings) -> Path:
    """Return the folder of the settings, or one next to the SQLite file, or one below the temporary folder."""
    if settings.telemetry.spool.folder is not None:
        return settings.telemetry.spool.folder
    if settings.sqlite_path is not None:
        return settings.sqlite_path.parent / "telemetry"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"scheduler-telemetry-{user}"
