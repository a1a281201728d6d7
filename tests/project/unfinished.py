"""What does not follow the rules of test_layout and test_naming yet."""

from __future__ import annotations

LONG_FILES = frozenset[str]()
LONG_FUNCTIONS = frozenset(
    {
        "config/job_files/reader.py:_parse_file",
        "scheduler/app/building.py:_build_program",
        "scheduler/cli/commands/backfill.py:backfill",
        "scheduler/cli/commands/history.py:history",
        "scheduler/cli/commands/jobs.py:jobs",
    }
)
BARE_CONSTANTS = frozenset(
    {
        "jobs/heartbeat.py:GRACE",
    }
)
LARGE_FOLDERS: frozenset[str] = frozenset()
WRONG_CALLERS = frozenset(
    {
        "scheduler.stores.azure.opening scheduler.app",
    }
)
