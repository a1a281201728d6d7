"""Turns pydantic's errors into messages with key, cause and fix. Called through jobs.problems.

Values of keys that look secret are never shown. A limit is written in the unit of the wrong value: `8m` instead of
480.0, `16KiB` instead of 16384.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BeforeValidator, ByteSize

from jobs.formats import format_count, format_duration
from jobs.model_base import read_seconds
from jobs.problems.corrections import correct_check_key, correct_job_key, correct_value
from jobs.problems.findings import (
    MAX_LISTED_PROBLEMS,
    Finding,
    KeyPath,
    Problem,
    describe_unknown_key,
    describe_wrong_choice,
    format_value,
    join_names,
    looks_secret,
    make_printable,
    suggest_name,
)
from jobs.problems.loc_paths import ModelLocation, allowed_values, known_keys, locate, union_tags

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

LIMIT_MESSAGES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "is too small: at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "is too large: at most {le}",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_short": "has too few entries: at least {min_length}",
    "too_long": "has too many entries: at most {max_length}",
}


WRONG_FORM_ERRORS = frozenset(
    {"dict_type", "mapping_type", "model_type", "model_attributes_type", "list_type", "tuple_type"}
    | {"union_tag_not_found", "union_tag_invalid"}
)
"""Errors about a value that must be a mapping or a list."""


TYPE_NAMES = {
    "string_type": "a text",
    "string_unicode": "a readable text",
    "string_sub_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 4300 digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "byte_size": "a size: write it like 512KiB or 1MiB",
    "byte_size_unit": "a size: write it like 512KiB or 1MiB",
    "path_type": "a path",
    "none_required": "empty",
}


_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_PER_UNIT = {
    **{unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))},
    **{unit: 1000**power for power, unit in enumerate(("KB", "MB", "GB", "TB"), start=1)},
}
_DURATION_PATTERN = re.compile(r"\s*\d+(?:\.\d+)?(ms|s|m|h|d)\s*", re.IGNORECASE)
_SIZE_PATTERN = re.compile(r"\s*\d+(?:\.\d+)?\s*([kmgt]?i?b)\s*", re.IGNORECASE)


def format_limit(limit: Any, at: Any, value: Any) -> str:
    """Format the limit of a field of type `at`, in the unit of `value` if the limit is a whole number of it."""
    if isinstance(limit, (int, float)):
        if _is_duration(at):
            return _duration(limit, value)
        if _is_size(at):
            return _size(int(limit), value)
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)


def _duration(limit: float, value: Any) -> str:
    found = _DURATION_PATTERN.fullmatch(value) if isinstance(value, str) else None
    unit = found[1].lower() if found else "s"
    count = limit / _SECONDS_PER_UNIT[unit]
    is_short = found is not None and count == int(count) and count < 10_000
    return f"{int(count)}{unit}" if is_short or limit == 0 else format_duration(limit)


def _size(limit: int, value: Any) -> str:
    found = _SIZE_PATTERN.fullmatch(value) if isinstance(value, str) else None
    written = next((unit for unit in _BYTES_PER_UNIT if found and unit.lower() == found[1].lower()), None)
    if written is not None and limit % _BYTES_PER_UNIT[written] == 0:
        return f"{limit // _BYTES_PER_UNIT[written]}{written}"
    binary = [unit for unit in _BYTES_PER_UNIT if unit.endswith("iB") and limit and limit % _BYTES_PER_UNIT[unit] == 0]
    return f"{limit // _BYTES_PER_UNIT[binary[-1]]}{binary[-1]}" if binary else format_count(limit, "byte")


def _is_duration(at: Any) -> bool:
    return any(isinstance(one, BeforeValidator) and one.func is read_seconds for one in _metadata(at))


def _is_size(at: Any) -> bool:
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    return at is ByteSize or any(one is ByteSize for one in get_args(at))


def _metadata(at: Any) -> list[Any]:
    """Return the metadata of the type, and of each member of a union."""
    metadata_of_members: list[Any] = []
    if get_origin(at) is Annotated:
        inner, *metadata = get_args(at)
        return [*metadata, *_metadata(inner)]
    for member in get_args(at):
        metadata_of_members += _metadata(member) if get_origin(member) is Annotated else []
    return metadata_of_members


def _is_in_check(path: KeyPath) -> bool:
    """Whether this is the check of a job, or one of its steps."""
    return path == ("check",) or path[:2] in (("check", "steps"), ("check", "cleanup"))


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One pydantic error with its location in the model.

    The location of an unknown key is the mapping that contains it, of all other errors the value.
    """

    kind: str
    location: ModelLocation
    key: str
    value: Any
    context: Mapping[str, Any]
    text: str
    suggestion: str | None
    keys_above: tuple[str, ...] = ()
    """Of an unknown key in the `check` of a job: the job's own keys."""

    @staticmethod
    def from_pydantic(detail: ErrorDetails, model: Any) -> ErrorDetail:
        kind, loc = detail["type"], detail["loc"]
        unknown = kind == "extra_forbidden"
        location = locate(model, loc[:-1] if unknown else loc)
        key = str(loc[-1]) if loc else ""
        suggestion = suggest_name(key, known_keys(location.type)) if unknown else None
        above = (
            tuple(one for one in known_keys(model) if "." not in one) if unknown and _is_in_check(location.path) else ()
        )
        return ErrorDetail(
            kind, location, key, detail.get("input"), detail.get("ctx", {}), detail["msg"], suggestion, above
        )

    def to_finding(self) -> Finding:
        if self.kind == "extra_forbidden":
            return Finding((*self.location.path, self.key), *self._unknown_key())
        if self.kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._wrong_kind_finding()
        if self.kind == "missing":
            return Finding(self.location.path, "is missing", self.location.description)
        if self.location.takes_secret_reference:
            return self._literal_secret_finding()
        return Finding(self.location.path, *self._message_and_hint())

    def _unknown_key(self) -> tuple[str, str]:
        keys = known_keys(self.location.type)
        if self.key in self.keys_above:
            return "unknown key in check", f"move {self.key} out of check: it is a key of the job"
        is_job = "check" in keys or self.keys_above
        if is_job and suggest_name(self.key, keys) != self.key and not looks_secret(self.key):
            correction = correct_job_key(self.key, self.value)
            if correction is not None:
                return "unknown key", f"write {correction}" + (", outside of check" if self.keys_above else "")
        if self.keys_above and "url" in keys and self.key not in keys and not looks_secret(self.key):
            correction = correct_check_key(self.key, self.value)
            if correction is not None:
                return "unknown key", f"write {correction}"
        message, hint = describe_unknown_key(self.key, keys)
        if self.suggestion == "check.url" and (text := format_value(self.value).strip("'")).startswith("http"):
            return message, f"write check: {{url: {text}}}"
        return message, hint

    def _wrong_kind_finding(self) -> Finding:
        """Explain a value that fits no member of a discriminated union: wrong or missing kind, or no known key."""
        tags, discriminator = union_tags(self.location.type)
        if not isinstance(self.value, dict):
            return Finding(
                self.location.path, f"{self._format_value()} is not a mapping of keys to values", self._correction()
            )
        if discriminator is None:
            keys = tuple(key for tag in tags.values() for key in known_keys(tag))
            choices = f"it must have one of the keys {join_names(tuple(tags))}"
            for key in islice(self.value, MAX_LISTED_PROBLEMS):
                if near := suggest_name(str(key), keys):
                    return Finding((*self.location.path, str(key)), f"unknown key, did you mean {near}?", choices)
            return Finding(self.location.path, "has no known key", choices)
        path = (*self.location.path, discriminator)
        if discriminator in self.value:
            return Finding(path, *describe_wrong_choice(self.value[discriminator], tuple(tags)))
        for key in islice(self.value, MAX_LISTED_PROBLEMS):
            if suggest_name(str(key), (discriminator,)):
                return Finding((*self.location.path, str(key)), f"unknown key, did you mean {discriminator}?")
        return Finding(path, "is missing", f"one of {join_names(tuple(tags))}")

    def _literal_secret_finding(self) -> Finding:
        path = self.location.path
        if path and path[-1] == "secret":
            return Finding(
                path, "is not the name of a secret", "letters, digits, - and _, at most 127; not the secret value"
            )
        return Finding(path, "must not contain a secret value", "reference the secret by its name: {secret: NAME}")

    def _message_and_hint(self) -> tuple[str, str]:
        """Return message and hint for a wrong value."""
        if self.kind in ("literal_error", "enum") and (allowed := allowed_values(self.location.type)):
            return describe_wrong_choice(self.value, allowed, show=self._can_show_value())
        if self.kind == "value_error":
            return self._validator_message(), ""
        if self.kind == "string_pattern_mismatch":
            hint = self.location.description or f"the form is {self.context.get('pattern')}"
            return f"{self._format_value()} has the wrong form", hint
        if limit := LIMIT_MESSAGES.get(self.kind):
            value = "it" if self.kind.startswith(("string_too", "too_")) else self._format_value()
            context = {key: format_limit(one, self.location.type, self.value) for key, one in self.context.items()}
            return f"{value} {limit.format(**context)}", ""
        if self.kind == "string_type" and isinstance(self.value, (int, float)):
            return f"{self._format_value()} is not a text", self.location.description or "write it in quotes"
        if kind_of_value := TYPE_NAMES.get(self.kind):
            return f"{self._format_value()} is not {kind_of_value}", self._correction() or self.location.description
        return f"is not valid: {self.text}", self.location.description

    def _correction(self) -> str:
        """Return the hint with the corrected form of a value; empty if it is unknown."""
        path = self.location.path
        if self.kind not in WRONG_FORM_ERRORS or not path or not self._can_show_value():
            return ""
        correction = correct_value(path[-1], self.value, path[-2] if len(path) > 1 else "")
        if correction is not None:
            return f"write {correction}"
        if path[-2:-1] == ("expect",):
            return "write a mapping, such as {status: 200}"
        return ""

    def _validator_message(self) -> str:
        """Return the message of our own validator, unless it contains a value that can be a secret."""
        message = make_printable(str(self.context.get("error", self.text)), _MAX_MESSAGE_CHARACTERS)
        may_leak = isinstance(self.value, str) and bool(self.value) and not self._can_show_value()
        return "has the wrong form" if may_leak and self.value in message else message

    def _can_show_value(self) -> bool:
        return not any(looks_secret(key) for key in self.location.path)

    def _format_value(self) -> str:
        """Format the value if it cannot be a secret."""
        return format_value(self.value) if self._can_show_value() else "the value"


_MAX_MESSAGE_CHARACTERS = 400


def validation_problems(error: ValidationError, model: Any, base: str = "") -> tuple[Problem, ...]:
    """Return the problems of a failed validation of `model` (a class or an annotated type), with keys below `base`."""
    return tuple(finding.to_problem(base) for finding in validation_findings(error.errors(include_url=False), model))


def validation_findings(errors: Iterable[ErrorDetails], model: Any) -> tuple[Finding, ...]:
    """Return the findings of pydantic's `error.errors()`. After the first hundred they are only counted."""
    details = list(errors)
    unlisted = len(details) - MAX_LISTED_PROBLEMS
    details = details[:MAX_LISTED_PROBLEMS]
    unknown = [ErrorDetail.from_pydantic(detail, model) for detail in details if detail["type"] == "extra_forbidden"]
    misspelt = {(*error.location.path, error.suggestion) for error in unknown}
    findings = []
    for detail in details:
        error = ErrorDetail.from_pydantic(detail, model)
        if detail["type"] == "missing" and (
            error.location.path in misspelt or _is_misspelt_above(error.location.path, misspelt)
        ):
            continue  # the misspelt key has a finding already
        if detail["type"] == "too_short" and any(_is_nested_in(other, detail) for other in details):
            continue  # pydantic does not count invalid entries, which have findings
        findings.append(error.to_finding())
    if unlisted > 0:
        findings.append(Finding((), f"has {unlisted} more problems, which are not listed"))
    return tuple(dict.fromkeys(findings))


def _is_misspelt_above(path: KeyPath, misspelt: set[tuple[str | int | None, ...]]) -> bool:
    """Whether a key of this missing mapping was written one level too high, as `url` without `check`."""
    depth = len(path) - 1
    return any(
        one[:depth] == path[:depth] and isinstance(one[-1], str) and one[-1].startswith(f"{path[-1]}.")
        for one in misspelt
        if path and len(one) == depth + 1
    )


def _is_nested_in(detail: ErrorDetails, other: ErrorDetails) -> bool:
    depth = len(other["loc"])
    return len(detail["loc"]) > depth and detail["loc"][:depth] == other["loc"]
