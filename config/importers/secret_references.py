"""Replaces secret values of a source by references to named secrets. Used by import_context and the sources.

The values are held only to give equal values one name, and to remove them from texts; they are never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from config.importers.job_names import make_slug, make_unique
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
        self._names_by_value: dict[str, str] = {}

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
        for text in _texts(value):
            for secret, name in self._searched():
                if secret in text:
                    return name
        return None

    def redact(self, text: str) -> str:
        """Return the text without values of secrets."""
        for secret, name in self._searched():
            text = text.replace(secret, f"(secret {name})")
        return text

    def _searched(self) -> Iterator[tuple[str, str]]:
        for secret, name in self._names_by_value.items():
            if secret.lower() in _PLACEHOLDERS:
                continue
            if len(secret) >= _SHORTEST_SEARCHED and _VARIABLE.fullmatch(secret.strip()) is None:
                yield secret, name

    def _add(self, hint: str, purpose: str) -> str:
        slug = make_slug(hint, "secret", _MAX_SECRET_NAME).replace(".", "-").replace("_", "-").strip("-")
        name = make_unique(slug, self.required, _MAX_SECRET_NAME)
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
