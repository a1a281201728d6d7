"""Detect that the process has no file descriptor left. Called where a lack of them looks like a fault of the target.

Without a descriptor, the C library reports an unknown name, and OpenSSL does not trust a certificate whose authority it
could not open.
"""

from __future__ import annotations

import errno
import os

_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE})


def check_descriptors() -> None:
    """Open and close a file.

    Raises:
        OSError: EMFILE or ENFILE, no descriptor is left.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in _NONE_LEFT:
            raise
