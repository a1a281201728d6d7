"""Writes definitions as YAML, as they stand in a job file.

Called by scheduler.features.jobs for export and by importers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./%+-]*(:[/A-Za-z0-9][A-Za-z0-9 _./%+-]*)*(?<! )")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
"""Texts that some YAML parsers read as other values."""


def write_definition(definition: Mapping[str, Any]) -> str:
    """Return a definition as YAML, as it stands in a job file."""
    import yaml

    text: str = yaml.dump(
        dict(definition), Dumper=_create_dumper(), sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text


def _create_dumper() -> Any:
    import yaml

    class _Dumper(yaml.SafeDumper):
        """Quotes each text that a parser could read as another value."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        is_plain = _PLAIN.fullmatch(text) is not None and text.casefold() not in _WORDS
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')

    _Dumper.add_representer(str, represent_text)
    return _Dumper
