"""The names of the queues, in a module without imports so that function_app loads them quickly.

Called by scheduler.hosts.functions.queue, and by the entry point of the Functions app.
"""

from collections.abc import Mapping

STORAGE_PREFIX_VARIABLE = "SCHEDULER_STORAGE__PREFIX"
"""The setting storage.prefix. Queue triggers are registered before any file is read, so they use the variable alone."""


def run_queue_name(prefix: str) -> str:
    """Return the name of the ticket queue of the deployment with this prefix."""
    return f"{prefix}-runs"


def run_queue_name_from(environ: Mapping[str, str]) -> str:
    """Return the name of the ticket queue by the environment."""
    return run_queue_name(environ.get(STORAGE_PREFIX_VARIABLE, "").strip() or "scheduler")


def poison_queue_name(queue: str) -> str:
    """Return the platform's name of the poison queue, for messages after maxDequeueCount (host.json) deliveries."""
    return f"{queue}-poison"
