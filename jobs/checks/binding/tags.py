"""Tags that a job must have to get a secret, such as `team:checkout`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequiredTag:
    """A tag that a job must have; `value` None: with any value."""

    key: str
    value: str | None = None

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}:{self.value}"

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Return whether a job with these tags has it."""
        return self.key in tags and self.value in (None, tags[self.key])


def parse_tag(text: str) -> RequiredTag:
    """Parse `team:checkout`, `team=checkout` or `team`. Raises ValueError."""
    key, separator, value = re.fullmatch(r"([^:=]*)([:=]?)(.*)", text.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
    if not key or (separator and not value):
        raise ValueError(f"{text!r} is not a tag: write team:checkout, or team for any value of it")
    return RequiredTag(key, value if separator else None)
