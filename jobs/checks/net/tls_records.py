"""Counts what a TLS session gives, piece by piece. Used by tls_contexts.py; its error is explained by faults.py.

The event loop takes a session's records out of its buffer in one go, each in some two microseconds: 1 MiB in records of
one byte would take it two seconds.
"""

from __future__ import annotations

import ssl
from typing import Any

from jobs.checks.errors import TooManyTlsRecords

MOST_TLS_RECORDS = 2000
"""Pieces that a session gives, and one more for each SMALL_RECORD bytes."""

SMALL_TLS_RECORD = 64
"""Bytes."""


class CountingTlsObject(ssl.SSLObject):
    """A session that gives up such a peer. Contexts make it by their `sslobject_class`."""

    _records = 0
    _bytes = 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """See ssl.SSLObject.read; gives what is in one record at most. Raises TooManyTlsRecords."""
        found = super().read(len, buffer)
        self._records += 1
        self._bytes += found if isinstance(found, int) else found.__len__()
        if self._records > MOST_TLS_RECORDS + self._bytes // SMALL_TLS_RECORD:
            raise TooManyTlsRecords(MOST_TLS_RECORDS, SMALL_TLS_RECORD)
        return found
