"""Validates the definition of one job, and lets jobs share equal parts: most of ten thousand have the same few
policies.

One pool of parts for each reading of job files. A validated part is reused for an equal one, which saves the memory
of copies, and the time of their validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.model_base import FILE_CONTEXT
from jobs.problems import Finding, validation_findings

_JOB_PARTS = ("schedule", "timeout", "retry", "circuit", "alerts")
_CHECK_PARTS = ("auth", "tls")


class PartInterner:
    """Validated parts by what was written for them."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], Any] = {}

    def reuse(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition with known parts replaced by their validated objects."""
        filled = self._reuse_parts(definition, _JOB_PARTS)
        if isinstance(check := filled.get("check"), dict):
            filled["check"] = self._reuse_parts(check, _CHECK_PARTS)
        if isinstance(expect := filled.get("expect"), list):
            filled["expect"] = [self._parts.get(("expect", repr(one)), one) for one in expect]
        return filled

    def remember(self, written: Mapping[str, Any], definition: JobDefinition) -> None:
        """Keep the parts of a definition that came out of `written`."""
        self._remember_parts(written, definition, _JOB_PARTS)
        if isinstance(check := written.get("check"), dict):
            self._remember_parts(check, definition.check, _CHECK_PARTS)
        for raw, one in zip(written.get("expect") or (), definition.expect, strict=True):
            self._parts.setdefault(("expect", repr(raw)), one)

    def _reuse_parts(self, written: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        filled = dict(written)
        for name in names:
            if (raw := filled.get(name)) is not None:
                filled[name] = self._parts.get(_part_key(name, raw, written), raw)
        return filled

    def _remember_parts(self, written: Mapping[str, Any], model: Any, names: tuple[str, ...]) -> None:
        for name in names:
            if (raw := written.get(name)) is not None:
                self._parts.setdefault(_part_key(name, raw, written), getattr(model, name))


def _part_key(name: str, raw: Any, written: Mapping[str, Any]) -> tuple[str, str]:
    if name == "timeout" and isinstance(check := written.get("check"), dict):
        # Its defaults depend on the check's kind.
        return f"timeout of {check.get('kind')!r}", repr(raw)
    return name, repr(raw)


def validate_job(written: Mapping[str, Any], interner: PartInterner) -> JobDefinition | tuple[Finding, ...]:
    try:
        definition = JobDefinition.model_validate(interner.reuse(written), context=FILE_CONTEXT)
    except ValidationError as error:
        return validation_findings(error.errors(include_url=False), JobDefinition)
    interner.remember(written, definition)
    return definition
