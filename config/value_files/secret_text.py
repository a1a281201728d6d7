"""Read the text of a secret from a file. Called by config.value_files.expansion and config.secrets.files.

Blocking, but it does not wait for a named pipe.
"""

from __future__ import annotations

from pathlib import Path

from jobs.checks.errors import FileTooLarge, NotRegularFile
from jobs.checks.files.reading import FileSignature, read_regular_file

MAX_SECRET_BYTES = 64 * 1024
"""Bytes. A vault's secrets have 25 KiB at most."""


class UnusableSecretFile(Exception):
    """Why a file is not a secret, and the fix; never its content."""


def read_secret_content(
    path: str | Path, shown: str, known: FileSignature = (), *, flags: int = 0
) -> tuple[bytes | None, FileSignature]:
    """Return what is in the file; None if it is the one whose signature is known.

    `shown`: how messages name the file. `flags`: of os.open, in addition to those that are needed.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableSecretFile: it cannot be read.
    """
    try:
        return read_regular_file(path, MAX_SECRET_BYTES, known, flags=flags)
    except (NotRegularFile, IsADirectoryError):
        raise UnusableSecretFile(f"{shown} is not a file") from None
    except FileTooLarge:
        size = f"{MAX_SECRET_BYTES // 1024} KiB"
        raise UnusableSecretFile(f"{shown} has more than {size}, which is too large for a secret") from None
    except PermissionError:
        message = f"{shown} is not readable by the program's user; change its owner, group or mode"
        raise UnusableSecretFile(message) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableSecretFile(f"{shown} cannot be read ({error.strerror})") from None
    except ValueError:  # a NUL in the path
        raise UnusableSecretFile(f"{shown} is not a path") from None


def decode_secret(content: bytes, shown: str) -> str:
    """Return the text without its last line end. Raises UnusableSecretFile."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableSecretFile(f"{shown} is not UTF-8 text; write it so") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UnusableSecretFile(f"{shown} is empty")
    return text
