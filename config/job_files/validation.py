"""Validates the definition of one job. Called by config.job_files.entries and config.job_files.definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from config.job_files.interning import PartInterner
from jobs.definition import JobDefinition
from jobs.model_base import FILE_CONTEXT
from jobs.problems import Finding, validation_findings


def validate_job(written: Mapping[str, Any], interner: PartInterner) -> JobDefinition | tuple[Finding, ...]:
    try:
        definition = JobDefinition.model_validate(interner.reuse(written), context=FILE_CONTEXT)
    except ValidationError as error:
        return validation_findings(error.errors(include_url=False), JobDefinition)
    interner.remember(written, definition)
    return definition
