"""Read a file that a job file names by a path relative to its folder. Called by config.rota_warnings and
scheduler.alerting.rotas.

Blocking: call it in a thread. A path, or a link, that leaves the folder is refused: job files cannot read other files.
"""

from __future__ import annotations

import os
from pathlib import Path

from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files.regular_files import FileSignature, read_regular_file
from jobs.errors import JobsError


class UnusableFile(JobsError, ValueError):
    """The file cannot be read. The message has the reason."""


def read_file_below(folder: str, path: str, most: int, known: FileSignature = ()) -> tuple[bytes | None, FileSignature]:
    """Return content and signature of a file, as read_regular_file. Raises UnusableFile.

    `folder`: empty if the job files are in no folder of this machine. `most`: bytes.
    """
    if not folder:
        raise UnusableFile("the job files are not in a folder, so that no file can be next to them: use url")
    full = os.path.join(folder, path)
    try:
        # A mounted ConfigMap has links within its folder.
        if not Path(os.path.realpath(full)).is_relative_to(os.path.realpath(folder)):
            raise UnusableFile("it is outside the folder of the job file")
        return read_regular_file(full, most, known)
    except NotRegularFile:
        raise UnusableFile("it is not a file") from None
    except FileTooLarge:
        raise UnusableFile(f"it is larger than {most:,} bytes") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnusableFile):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnusableFile((reason or type(error).__name__).lower()) from None
