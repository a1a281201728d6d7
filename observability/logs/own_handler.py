"""Marks the log handlers that are ours. Used by logs, which leaves them alone, and by whoever makes one."""

from __future__ import annotations

import logging


class OwnHandler(logging.Handler):
    """A handler of this package, beside those that the process brings."""
