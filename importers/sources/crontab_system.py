"""The source `crontab-system`: a crontab whose lines have a user, as /etc/crontab. See registry.

The source `crontab` detects this form by path, comments and usual users; this one needs no detection.
"""

from __future__ import annotations

from collections.abc import Sequence

from importers.import_context import ImportContext
from importers.source_file import SourceFile
from importers.sources.crontab import mapping


def detects(file: SourceFile) -> bool:
    """Return False: the source `crontab` recognises both forms."""
    return False


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files."""
    mapping.import_files(files, context, has_users=True)
