"""What does not follow the rules of test_layout and test_naming yet."""

from __future__ import annotations

LONG_FILES = frozenset(
    {
        "jobs/checks/errors.py",
        "jobs/checks/kinds/step_sequence.py",
        "jobs/running/circuit_breaker/state_machine.py",
        "jobs/running/execution.py",
        "jobs/schedules/calendars/exclusions.py",
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
        "scheduler/operations/backfills.py:backfill",
    }
)
BARE_CONSTANTS = frozenset(
    {
        "jobs/formats/trace_ids.py:_STEP",
        "jobs/heartbeat.py:GRACE",
        "jobs/running/circuit_breaker/breakers.py:_TRIES",
        "jobs/runs/error_classes.py:_TIMEOUT",
        "jobs/schedules/cron/fields.py:_STEP",
        "jobs/schedules/parsing.py:_EVERY",
        "jobs/schedules/plain_words.py:_LONGEST",
        "jobs/schedules/time_zones/time_zone.py:_MARGIN",
        "jobs/schedules/time_zones/zoned_schedule.py:_LAST",
    }
)
LARGE_FOLDERS: frozenset[str] = frozenset()
WRONG_CALLERS: frozenset[str] = frozenset()
