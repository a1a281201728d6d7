"""A preset: a job with placeholders `<<parameter>>`, its parameters, and what it needs. Filled by `Preset.fill`.

Values take the place of placeholders in parsed texts, never in the text of a file, so a value cannot add keys or
entries. A text that is one placeholder becomes the value with its type. Without a value its key is
skipped, and in a list the whole entry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from jobs.expectations.engines.regular_expressions import LimitExceeded, PatternField, matches_whole
from jobs.formats import parse_duration
from jobs.model_base import DisplayText, Duration, FrozenModel
from jobs.problems import Finding, KeyPath, describe_unknown_key, dotted_path, format_value

PRESET_NAME = r"^[a-z][a-z0-9-]{0,63}$"
_PARAMETER = r"[a-z][a-z0-9_]{0,39}"
_PLACEHOLDER = re.compile(rf"<<({_PARAMETER})>>")
_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of texts whose parameter has no pattern: names, which mean the same in paths, queries and expressions."""
_MAX_TEXT = 2000
_MAX_TEXTS = 100
_MAX_USES = 200
"""Placeholders of a preset: each is replaced by as much as a value has."""

ParameterValue = str | int | float | tuple[str, ...]


class Parameter(FrozenModel):
    """A parameter. Without a default it is required; with the default null its place is skipped."""

    description: Annotated[DisplayText, Field(min_length=1, max_length=300)]
    example: ParameterValue
    type: Literal["text", "number", "duration", "texts"] = "text"
    pattern: PatternField = _NAME_PATTERN
    """Of the whole text; of each text of a list."""
    default: ParameterValue | None = None

    @property
    def is_required(self) -> bool:
        return "default" not in self.model_fields_set

    @model_validator(mode="after")
    def _example_fits(self) -> Parameter:
        for name, value in (("example", self.example), ("default", self.default)):
            if value is not None and (wrong := self.find_mistake(value)):
                raise ValueError(f"{name}: {wrong}")
        return self

    def find_mistake(self, value: Any) -> str:
        """Return what is wrong with a value; empty if it fits."""
        if self.type == "number":
            is_number = type(value) is int or (isinstance(value, float) and math.isfinite(value))
            return "" if is_number else f"expected a number, not {format_value(value)}"
        if self.type == "texts":
            if not isinstance(value, (list, tuple)) or len(value) > _MAX_TEXTS:
                return f"expected a list of at most {_MAX_TEXTS} texts, not {format_value(value)}"
            return next((wrong for one in value if (wrong := self._find_mistake_of_text(one))), "")
        if self.type == "duration":
            return _find_mistake_of_duration(value)
        return self._find_mistake_of_text(value)

    def _find_mistake_of_text(self, value: Any) -> str:
        if not isinstance(value, str):
            hint = " (put it in quotes)" if isinstance(value, (int, float)) else ""
            return f"expected a text, not {format_value(value)}{hint}"
        if len(value) > _MAX_TEXT:
            return f"expected at most {_MAX_TEXT} characters, not {len(value)}"
        try:
            fits = matches_whole(self.pattern, value)
        except LimitExceeded:
            return f"its pattern {self.pattern} takes too long"
        return "" if fits and value.isprintable() else f"{format_value(value)} does not match {self.pattern}"


def _find_mistake_of_duration(value: Any) -> str:
    try:
        parse_duration(value)
    except (TypeError, ValueError):
        return f"expected a duration such as 15m, not {format_value(value)}"
    return ""


class PresetFit(FrozenModel):
    """The Azure resources for which `discover azure` uses a preset.

    The parameters `subscription`, `resource_group` and `resource` (the id) get the values of the resource, `parameter`
    its name. `where`: pattern of the text at each path of the resource that must match, such as `Enabled`. `each`: a
    parameter and the path of its texts, of which each gets a job.
    """

    type: str = Field(pattern=r"^[a-z0-9.]+(/[a-z0-9]+)+$", max_length=200)
    parameter: str = ""
    where: dict[str, str] = Field(default_factory=dict, max_length=5)
    each: dict[str, str] = Field(default_factory=dict, max_length=1)

    @property
    def names(self) -> frozenset[str]:
        """The parameters that can get values."""
        return frozenset({"subscription", "resource_group", "resource", self.parameter, *self.each})


@dataclass(frozen=True, slots=True)
class FilledPreset:
    """The job of a preset with values. `values`: those that were given. `sources`: parameters of each filled text."""

    job: Mapping[str, Any]
    values: Mapping[str, Any]
    sources: Mapping[KeyPath, tuple[str, ...]]


class Preset(FrozenModel):
    """A preset as its file defines it. `scope`: what `role` is assigned on. `is_own`: of a user, not of the product."""

    name: str = Field(pattern=PRESET_NAME)
    description: Annotated[DisplayText, Field(min_length=1, max_length=500)]
    parameters: Annotated[dict[Annotated[str, Field(pattern=rf"^{_PARAMETER}$")], Parameter], Field(max_length=50)] = (
        Field(default_factory=dict)
    )
    role: DisplayText = Field(default="", max_length=200)
    scope: DisplayText = Field(default="", max_length=500)
    minimum_interval: Annotated[Duration, Field(ge=0)] = 0.0
    """Seconds that two runs are apart at least."""
    runbook: DisplayText = Field(default="", max_length=1000)
    """What to do, in one line."""
    source: DisplayText = Field(default="", max_length=500)
    """URL of the documentation of what it calls."""
    fits: PresetFit | None = None
    job: dict[str, Any]
    is_own: bool = False

    @field_validator("job")
    @classmethod
    def _without_name(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(value.get("check"), dict):
            raise ValueError("a preset needs a check")
        if wrong := {"name", "preset", "with", "enabled"} & value.keys():
            raise ValueError(f"{min(wrong)} belongs in the job that uses the preset: remove it")
        return value

    @model_validator(mode="after")
    def _declares_what_it_uses(self) -> Preset:
        used = set[str]()
        found = list(_find_placeholders({"job": self.job, "scope": self.scope}))
        if len(found) > _MAX_USES:
            raise ValueError(f"has {len(found)} placeholders: use at most {_MAX_USES}")
        for name, path, is_whole in found:
            if name not in self.parameters:
                message, hint = describe_unknown_key(name, self.parameters, noun="parameter")
                raise ValueError(f"{dotted_path(*path)} uses <<{name}>>: {message}{hint and f'; {hint}'}")
            if self.parameters[name].type == "texts" and not is_whole:
                raise ValueError(
                    f"{dotted_path(*path)} has the list <<{name}>> within a text: write it as the whole text"
                )
            used.add(name)
        if unused := self.parameters.keys() - used:
            raise ValueError(f"nothing uses the parameter {min(unused)}: write <<{min(unused)}>> where it belongs")
        return self

    @model_validator(mode="after")
    def _fit_fills_it(self) -> Preset:
        if self.fits is not None:
            for name in filter(None, (self.fits.parameter, *self.fits.each)):
                if name not in self.parameters:
                    raise ValueError(f"fits: there is no parameter {name}")
            if missing := [
                name for name, one in self.parameters.items() if one.is_required and name not in self.fits.names
            ]:
                raise ValueError(f"fits: a resource gives no value for the parameter {missing[0]}: add a default")
        return self

    @cached_property
    def examples(self) -> Mapping[str, Any]:
        """Values of the required parameters, to show what the preset makes of them."""
        return {name: _plain(one.example) for name, one in self.parameters.items() if one.is_required}

    def find_mistakes(self, values: Any, path: KeyPath) -> Iterator[Finding]:
        """Yield what is wrong with the values of a job. `path`: of the job."""
        if not isinstance(values, dict):
            first = next(iter(self.parameters), "parameter")
            yield Finding((*path, "with"), "is not a mapping of values by parameter", f"write with: {{{first}: ...}}")
            return
        for name, value in values.items():
            if name not in self.parameters:
                message, hint = describe_unknown_key(
                    name, self.parameters, noun="parameter", owner=f"the preset {self.name}"
                )
                yield Finding((*path, "with", name), message, hint)
            elif wrong := self.parameters[name].find_mistake(value):
                yield Finding((*path, "with", name), wrong, self.parameters[name].description)
        for name, one in self.parameters.items():
            if one.is_required and name not in values:
                example = format_value(_plain(one.example)) if isinstance(one.example, str) else one.example
                message = f"the preset {self.name} needs the parameter {name}: {one.description}"
                yield Finding((*path, "with" if values else "preset"), message, f"write with: {{{name}: {example}}}")

    def fill(self, values: Mapping[str, Any]) -> FilledPreset:
        """Return the job with these values, which have no mistakes, and the defaults of the others."""
        every = {name: _plain(one.default) for name, one in self.parameters.items()} | dict(values)
        sources: dict[KeyPath, tuple[str, ...]] = {}
        return FilledPreset(_fill(self.job, every, sources, ()), dict(values), sources)

    def fill_scope(self, values: Mapping[str, Any]) -> str:
        """Return the scope with these values; a parameter without a value stays a placeholder."""
        every = {name: one.default for name, one in self.parameters.items()} | dict(values)
        return _PLACEHOLDER.sub(
            lambda found: found[0] if every.get(found[1]) is None else str(every[found[1]]), self.scope
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _find_placeholders(value: Any, path: KeyPath = ()) -> Iterator[tuple[str, KeyPath, bool]]:
    """Yield name and path of each placeholder, and whether it is the whole text."""
    if isinstance(value, str):
        is_whole = _PLACEHOLDER.fullmatch(value) is not None
        yield from ((name, path, is_whole) for name in _PLACEHOLDER.findall(value))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _find_placeholders(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _find_placeholders(one, (*path, index))


_LEFT_OUT: Any = object()


def _lacks_key(written: Any, filled: Any) -> bool:
    """Return whether a value is missing in an entry of a list, which is then skipped as a whole."""
    return isinstance(written, dict) and len(filled) < len(written)


def _fill(value: Any, values: Mapping[str, Any], sources: dict[KeyPath, tuple[str, ...]], path: KeyPath) -> Any:
    """Return the value with each placeholder filled; `_LEFT_OUT` for a placeholder without a value."""
    if isinstance(value, str):
        names = tuple(_PLACEHOLDER.findall(value))
        if not names:
            return value
        sources[path] = names
        if any(values[name] is None for name in names):
            return _LEFT_OUT
        if _PLACEHOLDER.fullmatch(value):
            return values[names[0]]
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), value)
    if isinstance(value, dict):
        filled = {key: _fill(one, values, sources, (*path, key)) for key, one in value.items()}
        return {key: one for key, one in filled.items() if one is not _LEFT_OUT}
    if isinstance(value, list):
        entries = [(one, _fill(one, values, sources, (*path, index))) for index, one in enumerate(value)]
        return [filled for one, filled in entries if filled is not _LEFT_OUT and not _lacks_key(one, filled)]
    return value
