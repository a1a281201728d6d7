"""What the Functions host would do with an indexed app: find its faults, match routes, ask for keys.

Used by functions_worker; pure, so it runs without the worker package. It follows Microsoft's host as far as that was
read, not run: faults of names and routes, routes matched in the alphabetical order of function names (the first match
wins), methods as part of the match, keys per function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote
from uuid import UUID

_BINDING_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9]{0,127}|\$return")
_FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_QUEUE_NAME = re.compile(r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]|%[^%]+%")
_RESERVED_ROUTES = ("admin", "runtime")
_BUILT_IN = frozenset({"httpTrigger", "http", "timerTrigger"})


@dataclass(frozen=True)
class Function:
    """One indexed function; `bindings` as in a function.json: dicts with type, name, direction and settings."""

    name: str
    id: str
    bindings: tuple[Mapping[str, Any], ...]

    @cached_property
    def trigger(self) -> Mapping[str, Any]:
        """The binding that starts it. Raises ValueError unless there is exactly one."""
        triggers = [each for each in self.bindings if str(each["type"]).lower().endswith("trigger")]
        if len(triggers) != 1:
            raise ValueError(f"{self.name} has {len(triggers)} triggers")
        return triggers[0]

    @property
    def is_http(self) -> bool:
        return bool(self.trigger["type"] == "httpTrigger")

    @property
    def route(self) -> str:
        """Below the prefix, without a slash at its start."""
        return str(self.trigger.get("route") or self.name).strip("/")

    @property
    def methods(self) -> frozenset[str]:
        """Empty: all."""
        return frozenset(str(method).upper() for method in self.trigger.get("methods") or ())

    @property
    def auth_level(self) -> str:
        """anonymous, function or admin."""
        return str(self.trigger.get("authLevel") or "function").lower()

    @property
    def key(self) -> str:
        """The key that the stand-in for the host accepts for this function."""
        return f"key-of-{self.name}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route's parameters when it takes a request to this path below the prefix."""
        if self.methods and method.upper() not in self.methods:
            return None
        found = _pattern(self.route).fullmatch(path.strip("/"))
        if found is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items() if value is not None}


MASTER_KEY = "master-key"
"""Opens every function; a key of a function opens that one alone."""


def matching(functions: Sequence[Function], method: str, path: str) -> list[tuple[Function, dict[str, str]]]:
    """Every function that takes the request, the one that gets it first. More than one: the order of names decides."""
    candidates = sorted((each for each in functions if each.is_http), key=lambda each: each.name.lower())
    return [(each, found) for each in candidates if (found := each.match(method, path)) is not None]


def admits(function: Function, key: str | None) -> bool:
    """Whether the host lets a caller with this key through."""
    match function.auth_level:
        case "anonymous":
            return True
        case "function":
            return key in (function.key, MASTER_KEY)
        case _:
            return key == MASTER_KEY


def problems(functions: Sequence[Function], host: Mapping[str, Any]) -> list[str]:
    """What the host would refuse, one sentence each; `host` is the content of host.json."""
    return [*_app_problems(functions, host), *(each for one in functions for each in _function_problems(one))]


def _app_problems(functions: Sequence[Function], host: Mapping[str, Any]) -> Iterator[str]:
    names = [each.name.lower() for each in functions]
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield f"the name {name} is used more than once"
    if host.get("version") != "2.0":
        yield 'host.json needs "version": "2.0"'
    extensions = {str(each["type"]) for one in functions for each in one.bindings} - _BUILT_IN
    if extensions and "extensionBundle" not in host:
        yield f"host.json names no extensionBundle, which {', '.join(sorted(extensions))} needs"


def _function_problems(function: Function) -> Iterator[str]:
    if not _FUNCTION_NAME.fullmatch(function.name):
        yield f"{function.name} is not a name for a function"
    for binding in function.bindings:
        if not _BINDING_NAME.fullmatch(str(binding["name"])):
            yield f"{function.name}: {binding['name']!r} is not a name for a binding"
    try:
        trigger = function.trigger
    except ValueError as error:
        yield str(error)
        return
    match trigger["type"]:
        case "httpTrigger":
            if function.route.lower().startswith(_RESERVED_ROUTES):
                yield f"{function.name}: a route must not begin with admin or runtime: {function.route}"
            if function.auth_level not in ("anonymous", "function", "admin"):
                yield f"{function.name}: unknown authLevel {function.auth_level}"
        case "timerTrigger":
            schedule = str(trigger.get("schedule", ""))
            if len(schedule.split()) != 6 and not re.fullmatch("%[^%]+%", schedule):
                yield f"{function.name}: {schedule!r} is not a six-field NCRONTAB expression"
        case "queueTrigger":
            if not _QUEUE_NAME.fullmatch(str(trigger.get("queueName", ""))):
                yield f"{function.name}: {trigger.get('queueName')!r} is not a name for a queue"


def _pattern(route: str) -> re.Pattern[str]:
    """ASP.NET's route template as a regular expression over the path without slashes at its ends."""
    parts = [_segment(segment, first=index == 0) for index, segment in enumerate(route.split("/"))]
    return re.compile("".join(parts), re.IGNORECASE)


_CONSTRAINTS = {
    "int": r"-?\d+",
    "long": r"-?\d+",
    "alpha": "[a-z]+",
    "bool": "true|false",
    "guid": re.sub("[0-9a-f]", "[0-9a-f]", str(UUID(int=0))),
}


def _segment(segment: str, *, first: bool) -> str:
    slash = "" if first else "/"
    found = re.fullmatch(r"\{(\*{0,2})(\w+)(?::(\w+))?(\?)?\}", segment)
    if found is None:
        return slash + re.escape(segment)
    rest, name, constraint, optional = found.groups()
    if rest:
        return f"(?:{slash}(?P<{name}>.+))?" if first else f"(?:{slash}(?P<{name}>.*))?"
    value = f"{slash}(?P<{name}>{_CONSTRAINTS.get(constraint or '', '[^/]+')})"
    return f"(?:{value})?" if optional else value
