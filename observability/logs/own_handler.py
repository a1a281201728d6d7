"""Marks the log handlers of this package, which the log set-up does not change."""

from __future__ import annotations

import logging


class OwnHandler(logging.Handler):
    """A handler of this package, in addition to those of the process."""
