"""Lets jobs share the parts that they write alike: most of ten thousand jobs have the same few retry policies.

One pool for each reading of job files. A part that was validated once is handed over as it is the next time, which
saves the memory of copies, and the time to validate them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.definition import JobDefinition

_OF_JOB = ("schedule", "timeout", "retry", "circuit")
_OF_CHECK = ("auth", "tls")


class SharedParts:
    """Validated parts by what was written for them."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], Any] = {}

    def put_in(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """The definition as it was written, with the parts that are known in place of what was written for them."""
        filled = self._filled(definition, _OF_JOB)
        if isinstance(check := filled.get("check"), dict):
            filled["check"] = self._filled(check, _OF_CHECK)
        if isinstance(expect := filled.get("expect"), list):
            filled["expect"] = [self._parts.get(("expect", repr(one)), one) for one in expect]
        return filled

    def learn(self, written: Mapping[str, Any], definition: JobDefinition) -> None:
        """Keep the parts of a definition that came out of `written`."""
        self._keep(written, definition, _OF_JOB)
        if isinstance(check := written.get("check"), dict):
            self._keep(check, definition.check, _OF_CHECK)
        for raw, one in zip(written.get("expect") or (), definition.expect, strict=True):
            self._parts.setdefault(("expect", repr(raw)), one)

    def _filled(self, written: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        filled = dict(written)
        for name in names:
            if (raw := filled.get(name)) is not None:
                filled[name] = self._parts.get(_key(name, raw, written), raw)
        return filled

    def _keep(self, written: Mapping[str, Any], model: Any, names: tuple[str, ...]) -> None:
        for name in names:
            if (raw := written.get(name)) is not None:
                self._parts.setdefault(_key(name, raw, written), getattr(model, name))


def _key(name: str, raw: Any, written: Mapping[str, Any]) -> tuple[str, str]:
    if name == "timeout" and isinstance(check := written.get("check"), dict):
        # What it does not say depends on the check's kind.
        return f"timeout of {check.get('kind')!r}", repr(raw)
    return name, repr(raw)
