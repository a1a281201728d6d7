"""Replaces secret values of a source by references to named secrets. Used by import_context and the sources.

The values are held only to give equal values one name, and to remove them from texts; they are never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from config.importers.job_names import UniqueNames, make_slug
from config.importers.node import SourceNode

_MAX_SECRET_NAME = 100
_SHORTEST_SEARCHED = 6
"""Characters of a value that is searched for in other texts: a shorter one is part of many words."""
_PLACEHOLDERS = frozenset(
    re.findall(
        r"\S+", "password secret token client_secret client-secret changeme mysecret secret_token passwd example"
    )
)
"""Values of examples, which are also words of other texts."""
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


@dataclass(slots=True)
class RequiredSecret:
    """A secret that a user must provide before the jobs run. `places`: the keys of the source with its value."""

    name: str
    purpose: str
    places: list[SourceNode] = field(default_factory=list)


class SecretReferences:
    """The secrets of one import."""

    def __init__(self) -> None:
        self.required: dict[str, RequiredSecret] = {}
        self._names = UniqueNames(_MAX_SECRET_NAME)
        self._names_by_value: dict[str, str] = {}
        self._searched: dict[str, list[tuple[str, str]]] = {}
        """Values that are searched for, with their names, by their first characters."""

    def reference(self, value: str, hint: str, purpose: str, node: SourceNode | None = None) -> dict[str, str]:
        """Return `{secret: NAME}` for a value. Equal values have one name; `$NAME` and `${NAME}` name themselves.

        `hint`: what the name is made from, such as `checkout-api-token`. `purpose`: what to provide, such as
        `password of checkout-api`.
        """
        name = self._names_by_value.get(value)
        if name is None:
            variable = _VARIABLE.fullmatch(value.strip())
            name = self._add(variable[1].replace("_", "-") if variable else hint, purpose)
            self._names_by_value[value] = name
            self._search_for(value, name)
        if node is not None:
            self.required[name].places.append(node)
        return {"secret": name}

    def require(self, hint: str, purpose: str, node: SourceNode | None = None) -> dict[str, str]:
        """Return `{secret: NAME}` for a secret whose value the source does not have."""
        name = self._add(hint, purpose)
        if node is not None:
            self.required[name].places.append(node)
        return {"secret": name}

    def find_value_in(self, value: Any) -> str | None:
        """Return the name of a secret whose value is part of a text anywhere in the value; None without one."""
        if not self._searched:
            return None
        return next((name for text in _texts(value) for _, _, name in self._find(text)), None)

    def redact(self, text: str) -> str:
        """Return the text without values of secrets."""
        if not self._searched:
            return text
        parts: list[str] = []
        end = 0
        for start, secret, name in self._find(text):
            if start >= end:
                parts += [text[end:start], f"(secret {name})"]
                end = start + len(secret)
        return "".join([*parts, text[end:]])

    def _search_for(self, value: str, name: str) -> None:
        is_word = value.lower() in _PLACEHOLDERS or _VARIABLE.fullmatch(value.strip()) is not None
        if len(value) >= _SHORTEST_SEARCHED and not is_word:
            found = self._searched.setdefault(value[:_SHORTEST_SEARCHED], [])
            found.append((value, name))
            found.sort(key=lambda one: -len(one[0]))

    def _find(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield start, value and name of each secret in a text: one pass, however many secrets there are."""
        for start in range(len(text) - _SHORTEST_SEARCHED + 1):
            for secret, name in self._searched.get(text[start : start + _SHORTEST_SEARCHED], ()):
                if text.startswith(secret, start):
                    yield start, secret, name
                    break

    def _add(self, hint: str, purpose: str) -> str:
        slug = make_slug(hint, "secret", _MAX_SECRET_NAME).replace(".", "-").replace("_", "-").strip("-")
        name = self._names.add(slug)
        self.required[name] = RequiredSecret(name, purpose)
        return name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if value.keys() == {"secret"}:
            return
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
