"""The definition of a job: its model, its schedule and its dependencies on other jobs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.definition.job import NAME_PATTERN, JobDefinition, OverlapMode

__all__ = ["NAME_PATTERN", "JobDefinition", "OverlapMode"]


def __getattr__(name: str) -> Any:
    """Import the model on first use: a command that reads only history needs no model of a job."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jobs.definition import job

    return getattr(job, name)
