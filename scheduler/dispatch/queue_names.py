"""The names of the queues, apart from everything else so that function_app can import them at no cost."""

from collections.abc import Mapping

STORAGE_PREFIX_VARIABLE = "SCHEDULER_STORAGE__PREFIX"
"""The setting storage.prefix. Queue triggers are made before any file is read, so they know the variable alone."""


def run_queue_name(prefix: str) -> str:
    """The queue of tickets of the deployment whose tables and queues begin so."""
    return f"{prefix}-runs"


def run_queue_name_from(environ: Mapping[str, str]) -> str:
    """The same from the environment."""
    return run_queue_name(environ.get(STORAGE_PREFIX_VARIABLE, "").strip() or "scheduler")


def poison_queue_name(queue: str) -> str:
    """The platform's name for it: where a message goes after maxDequeueCount (host.json) deliveries."""
    return f"{queue}-poison"
