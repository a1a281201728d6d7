"""The tags that limit a principal, written `team:payments`, and the tags of a written definition. Pure.

Used by scheduler.operations, scheduler.queries.audit, scheduler.catalog, scheduler.authentication and scheduler.api.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_CONTROL = r"\x00-\x1f\x7f-\x9f"
_SPACE = rf"{_CONTROL} \xa0"
TAG_LIMIT_PATTERN: Final = rf"^[^:={_SPACE}][^:={_CONTROL}]*[:=][^{_SPACE}][^{_CONTROL}]*$"
"""Without `\\s`, which the regular expressions of Python, pydantic and JSON Schema define differently."""
Tags = tuple[tuple[str, str], ...]


def parse_tag_limits(texts: Iterable[str]) -> Tags:
    """Parse `team:payments` or `team=payments`, sorted and without duplicates. Raises ValueError."""
    return tuple(sorted({_parse_tag_limit(text) for text in texts}))


def format_tag_limits(tags: Tags) -> list[str]:
    return [f"{key}:{value}" for key, value in tags]


def describe_invisible_job(tags: Tags) -> str:
    """Return why a caller that is limited to these tags cannot define a job without them."""
    return f"the job would not exist for you: expected the tag {' or '.join(format_tag_limits(tags))}"


def written_tags(definition: Any) -> Mapping[str, str]:
    """Return the tags of a definition in the full or in the flat form, as it was written."""
    written = definition.items() if isinstance(definition, Mapping) else ()
    tags = next((value for key, value in written if key.lower() == "tags"), None)
    return tags if isinstance(tags, Mapping) else {}


def _parse_tag_limit(text: str) -> tuple[str, str]:
    if re.fullmatch(TAG_LIMIT_PATTERN, text) is None:
        raise ValueError(f"{text[:60]!r} is not a tag with a value: write team:payments")
    key, value = re.split("[:=]", text, maxsplit=1)
    return key, value
