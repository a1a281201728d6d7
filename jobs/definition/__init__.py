"""The definition of a job: its model, its schedule and its dependencies on other jobs."""

from jobs.definition.job import NAME_PATTERN, JobDefinition, OverlapMode

__all__ = ["NAME_PATTERN", "JobDefinition", "OverlapMode"]
