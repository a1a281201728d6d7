"""Every error of backups. Raised by scheduler.backup, shown by scheduler.cli.

BackupError
 ├─ DumpDamaged     a file is not a backup, is damaged or cut off, or was written by a newer program
 ├─ DumpFileError   a file cannot be read or written
 ├─ TargetNotEmpty  the store has rows already
 └─ RestoreDiffers  the restored rows are not those of the backup
"""

from __future__ import annotations


class BackupError(Exception):
    """Base of all errors here. The message is for operators."""


class DumpDamaged(BackupError):
    """The message names the line."""


class DumpFileError(BackupError):
    """The message names the file and the cause."""


class TargetNotEmpty(BackupError):
    """The message names the tables."""


class RestoreDiffers(BackupError):
    """The message names the tables."""
