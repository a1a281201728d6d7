"""What does not follow the rules of test_layout and test_naming yet."""

from __future__ import annotations

LONG_FILES = frozenset(
    {
        "jobs/checks/errors.py",
        "jobs/checks/kinds/step_sequence.py",
        "scheduler/cli/commands/dead_letters/group.py",
        "scheduler/hosts/embedded/host.py",
        "scheduler/stores/dead_letters/repository.py",
        "scheduler/stores/runs/codec.py",
        "scheduler/stores/runs/repository.py",
        "scheduler/stores/runs/transitions.py",
        "scheduler/stores/slots/repository.py",
    }
)
LONG_FUNCTIONS = frozenset(
    {
        "config/job_files/reader.py:_parse_file",
        "scheduler/app/foundation.py:open_foundation",
        "scheduler/cli/commands/backfill.py:backfill",
        "scheduler/cli/commands/history.py:history",
        "scheduler/cli/commands/jobs.py:jobs",
        "scheduler/hosts/embedded/host.py:_serve_program",
        "scheduler/hosts/functions/queue.py:perform_batch",
    }
)
BARE_CONSTANTS = frozenset(
    {
        "jobs/heartbeat.py:GRACE",
    }
)
LARGE_FOLDERS: frozenset[str] = frozenset()
WRONG_CALLERS: frozenset[str] = frozenset()
