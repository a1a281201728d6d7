"""Lets a crash of the interpreter leave a trace. Called by scheduler.__main__ and by the Functions entry point."""

from __future__ import annotations

import faulthandler
import sys
from contextlib import suppress


def enable_crash_traces() -> None:
    """Let a fatal signal (SIGSEGV, SIGABRT, SIGBUS, ...) write the stacks of all threads to standard error.

    A process without standard error, or one that has enabled the traces itself, is not changed. The process's own
    stream is used, because a host may have replaced `sys.stderr` with an object that has no file.
    """
    if sys.__stderr__ is not None and not faulthandler.is_enabled():
        with suppress(OSError, ValueError):  # not a file, or closed
            faulthandler.enable(sys.__stderr__)
