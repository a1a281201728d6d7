"""Variables of synthetic tests, `{{name}}`: those with values, and those that requests extract. Used by the sources of
Application Insights and Datadog.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from importers.errors import NotCarriedOver
from importers.import_context import ImportContext
from importers.ledger import SourceNode
from jobs.problems import looks_secret

_COMPARED = frozenset(
    {"equals", "not_equals", "contains", "not_contains", "like", "not_like", "body_contains", "body_not_contains"}
)
_VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


@dataclass
class TestVariables:
    """`values`: with their nodes. `saved`: variable of the test -> name of a saved value.

    `are_steps`: whether texts can contain `${name}`, so that a dollar sign is written twice.
    """

    context: ImportContext
    job: str
    values: dict[str, tuple[str, SourceNode | None]] = field(default_factory=dict)
    saved: dict[str, str] = field(default_factory=dict)
    are_steps: bool = False
    external: set[str] = field(default_factory=set)
    """Variables that are defined outside of the source: as a whole text, each is a secret to provide."""

    def fill(self, text: str) -> str:
        """Return the text with the values of its variables. Raises NotCarriedOver: one has none."""
        parts, at = "", 0
        for found in _VARIABLE.finditer(text):
            parts += self._escape(text[at : found.start()]) + self._value_of(found[1])
            at = found.end()
        return parts + self._escape(text[at:])

    def fill_or_reference(self, text: str, hint: str) -> Any:
        """Return the same; a reference if the whole text is one variable whose name looks secret."""
        found = _VARIABLE.fullmatch(text.strip())
        if found is None or found[1] in self.saved:
            return self.fill(text)
        if found[1] in self.external:
            return self.context.secrets.require(found[1], f"value of the variable {found[1]} of {self.job}")
        if not looks_secret(found[1]) or found[1] not in self.values:
            return self.fill(text)
        value, node = self.values[found[1]]
        if node is not None:
            self.context.use(node, "the value becomes a secret")
        return self.context.secrets.reference(value, hint, f"value of the variable {found[1]} of {self.job}", node)

    def escape_compared(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of `expect` in which a dollar sign of a compared text stands for itself."""
        return {
            key: self._escape(one) if key in _COMPARED and isinstance(one, str) else one for key, one in entry.items()
        }

    def save(self, variable: str) -> str:
        """Return the name under which a step saves a variable."""
        name = re.sub(r"\W", "_", variable, flags=re.ASCII).strip("_") or "value"
        name = f"v_{name}" if name[0].isdigit() else name
        used = {saved for known, saved in self.saved.items() if known != variable}
        while name in used:
            name += "_"
        self.saved[variable] = name
        return name

    def _value_of(self, variable: str) -> str:
        if variable in self.saved:
            return f"${{{self.saved[variable]}}}"
        if variable not in self.values:
            raise NotCarriedOver(
                f"the variable {variable} has no value: it is computed, or defined outside of the test",
                "write its value into the test, or save it from an earlier step",
            )
        value, node = self.values[variable]
        if node is not None:
            self.context.use(node, "the value replaces the variable")
        if looks_secret(variable) and value:
            # Known as a secret, it is not written into any text.
            self.context.secrets.reference(value, f"{self.job}-{variable}", f"value of the variable {variable}", node)
        return self._escape(value)

    def _escape(self, text: str) -> str:
        return text.replace("$", "$$") if self.are_steps else text


def find_variables(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return [found[1] for found in _VARIABLE.finditer(text)]
