"""A sub-key of the section `alerting` of job files, such as `groups`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter


@dataclass(frozen=True)
class SectionPart:
    """`model`: the type of one entry, a model or an annotated union.

    With `is_named` the part is a mapping by name, and a name is declared once in all files. Without, it is a list; the
    lists of several files are joined in the order of the files.
    """

    key: str
    model: Any
    is_named: bool
    description: str
    name_pattern: str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
    max_entries: int = 1000

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.model)
