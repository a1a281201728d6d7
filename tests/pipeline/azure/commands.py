"""Parses the arguments of `az` and applies the simple forms of `--query` that the scripts use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class CommandError(Exception):
    """The command fails: its message is the output of `az`."""


@dataclass(frozen=True)
class Command:
    """`words`: the group and its command. `options`: each with its values."""

    words: str
    options: dict[str, list[str]]

    def get(self, name: str) -> str:
        return self.options.get(name, [""])[0]


def parse(arguments: Sequence[str]) -> Command:
    """Parse what follows `az`."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    current: list[str] = words
    for argument in arguments:
        if argument.startswith("--"):
            current = options.setdefault(argument, [])
        else:
            current.append(argument)
    return Command(" ".join(words), options)


def query(text: str, values: Any) -> Any:
    """Evaluate a key, or a list of objects filtered by their name with chosen keys."""
    if not text:
        return values
    if re.fullmatch(r"\w+", text):
        return values.get(text)
    filtered = re.fullmatch(r"\[\?(.+)\]\.\{(.+)\}", text)
    if filtered is None:
        raise CommandError(f"argument --query: invalid jmespath_type value: {text}")
    names = set(re.findall(r"name=='([^']+)'", filtered[1]))
    keys = dict(part.split(": ") for part in filtered[2].split(", "))
    return [{new: one[old] for new, old in keys.items()} for one in values if one["name"] in names]
