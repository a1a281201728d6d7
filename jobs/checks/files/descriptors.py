"""Whether the process has file descriptors left. Called where a lack of them looks like a fault of somebody else's.

The C library says of a name that it is unknown where it had no descriptor to look it up with, and OpenSSL does not
trust a certificate whose authority it could not open.
"""

from __future__ import annotations

import errno
import os

_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def check_descriptors() -> None:
    """Raises OSError (EMFILE, ENFILE): there is none left."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in _NONE_LEFT:
            raise
