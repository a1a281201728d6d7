"""The program with a clock that is ahead by some seconds: `python -m bench._skewed SECONDS COMMAND...`.

Started by bench.replicas, and by nothing else: the program itself has no such setting.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from jobs.running.clocks import SystemClock
from scheduler.__main__ import main

if __name__ == "__main__":
    ahead = timedelta(seconds=float(sys.argv.pop(1)))
    SystemClock.now = lambda self: datetime.now(UTC) + ahead  # type: ignore[method-assign]
    main()
