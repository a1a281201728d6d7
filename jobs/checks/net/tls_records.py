"""Count the records that a TLS session returns. Used by tls_contexts.py.

The event loop takes all buffered records in one go, each in some two microseconds: 1 MiB in records of one byte would
block it for two seconds.
"""

from __future__ import annotations

import ssl
from typing import Any

from jobs.checks.errors import TooManyTlsRecords

MOST_TLS_RECORDS = 2000
"""Records of a session, and one more for each SMALL_TLS_RECORD bytes."""

SMALL_TLS_RECORD = 64
"""Bytes."""


class CountingTlsObject(ssl.SSLObject):
    """A session that limits its records. Contexts create it through `sslobject_class`."""

    _records = 0
    _bytes = 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """See ssl.SSLObject.read; returns the content of one record at most. Raises TooManyTlsRecords."""
        found = super().read(len, buffer)
        self._records += 1
        self._bytes += found if isinstance(found, int) else found.__len__()
        if self._records > MOST_TLS_RECORDS + self._bytes // SMALL_TLS_RECORD:
            raise TooManyTlsRecords(MOST_TLS_RECORDS, SMALL_TLS_RECORD)
        return found
