"""Turns pydantic's errors into messages with key, cause and fix. Called through jobs.problems.

Values of keys that look secret are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from jobs.problems.findings import MOST_LISTED_PROBLEMS, Finding, KeyPath, Problem, looks_secret, make_printable
from jobs.problems.limit_formatting import format_limit
from jobs.problems.loc_paths import ModelLocation, known_keys, locate, union_tags
from jobs.problems.suggestions import join_names, suggest_name
from jobs.problems.value_corrections import correct_check_key, correct_job_key, correct_value
from jobs.problems.value_formatting import describe_unknown_key, describe_wrong_choice, format_value, strip_url_secrets

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


def validation_problems(error: ValidationError, model: Any, base: str = "") -> tuple[Problem, ...]:
    """Return the problems of a failed validation of `model` (a class or an annotated type), with keys below `base`."""
    return tuple(finding.to_problem(base) for finding in validation_findings(error.errors(include_url=False), model))


def validation_findings(errors: Iterable[ErrorDetails], model: Any) -> tuple[Finding, ...]:
    """Return the findings of pydantic's `error.errors()`. After the first hundred they are only counted."""
    details = list(errors)
    left_out = len(details) - MOST_LISTED_PROBLEMS
    details = details[:MOST_LISTED_PROBLEMS]
    unknown = [_ErrorDetail.of(detail, model) for detail in details if detail["type"] == "extra_forbidden"]
    misspelt = {(*error.place.path, error.suggestion) for error in unknown}
    findings = []
    for detail in details:
        error = _ErrorDetail.of(detail, model)
        if detail["type"] == "missing" and (
            error.place.path in misspelt or _is_misspelt_above(error.place.path, misspelt)
        ):
            continue  # the misspelt key has a finding already
        if detail["type"] == "too_short" and any(_is_nested_in(other, detail) for other in details):
            continue  # pydantic does not count invalid entries, which have findings
        findings.append(error.finding())
    if left_out > 0:
        findings.append(Finding((), f"has {left_out} more problems, which are not listed"))
    return tuple(dict.fromkeys(findings))


def _is_in_check(path: KeyPath) -> bool:
    """Whether this is the check of a job, or one of its steps."""
    return path == ("check",) or path[:2] in (("check", "steps"), ("check", "cleanup"))


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


@dataclass(frozen=True, slots=True)
class _ErrorDetail:
    """One pydantic error with its location in the model.

    The location of an unknown key is the mapping that contains it, of all other errors the value.
    """

    kind: str
    place: ModelLocation
    key: str
    value: Any
    context: Mapping[str, Any]
    text: str
    suggestion: str | None
    keys_above: tuple[str, ...] = ()
    """Of an unknown key in the `check` of a job: the job's own keys."""

    @staticmethod
    def of(detail: ErrorDetails, model: Any) -> _ErrorDetail:
        kind, loc = detail["type"], detail["loc"]
        unknown = kind == "extra_forbidden"
        place = locate(model, loc[:-1] if unknown else loc)
        key = str(loc[-1]) if loc else ""
        suggestion = suggest_name(key, known_keys(place.type)) if unknown else None
        above = (
            tuple(one for one in known_keys(model) if "." not in one) if unknown and _is_in_check(place.path) else ()
        )
        return _ErrorDetail(
            kind, place, key, detail.get("input"), detail.get("ctx", {}), detail["msg"], suggestion, above
        )

    def finding(self) -> Finding:
        if self.kind == "extra_forbidden":
            return Finding((*self.place.path, self.key), *self._unknown_key())
        if self.kind in ("union_tag_invalid", "union_tag_not_found"):
            return self._wrong_kind()
        if self.kind == "missing":
            return Finding(self.place.path, "is missing", self.place.description)
        if self.place.takes_secret_reference:
            return self._literal_secret()
        return Finding(self.place.path, *self._sentence())

    def _unknown_key(self) -> tuple[str, str]:
        keys = known_keys(self.place.type)
        if self.key in self.keys_above:
            return "unknown key in check", f"move {self.key} out of check: it is a key of the job"
        is_job = "check" in keys or self.keys_above
        if is_job and suggest_name(self.key, keys) != self.key and not looks_secret(self.key):
            offer = correct_job_key(self.key, self.value)
            if offer is not None:
                return "unknown key", f"write {offer}" + (", outside of check" if self.keys_above else "")
        if self.keys_above and "url" in keys and self.key not in keys and not looks_secret(self.key):
            offer = correct_check_key(self.key, self.value)
            if offer is not None:
                return "unknown key", f"write {offer}"
        message, hint = describe_unknown_key(self.key, keys)
        if self.suggestion == "check.url" and (text := format_value(self.value).strip("'")).startswith("http"):
            return message, f"write check: {{url: {text}}}"
        return message, hint

    def _wrong_kind(self) -> Finding:
        """Explain a value that fits no member of a discriminated union: wrong or missing kind, or no known key."""
        tags, discriminator = union_tags(self.place.type)
        if not isinstance(self.value, dict):
            return Finding(self.place.path, f"{self._shown()} is not a mapping of keys to values", self._offer())
        given = self.value
        if discriminator is None:
            keys = tuple(key for tag in tags.values() for key in known_keys(tag))
            choices = f"it must have one of the keys {join_names(tuple(tags))}"
            for key in islice(given, MOST_LISTED_PROBLEMS):
                if near := suggest_name(str(key), keys):
                    return Finding((*self.place.path, str(key)), f"unknown key, did you mean {near}?", choices)
            return Finding(self.place.path, "has no known key", choices)
        path = (*self.place.path, discriminator)
        if discriminator in given:
            return Finding(path, *describe_wrong_choice(given[discriminator], tuple(tags)))
        for key in islice(given, MOST_LISTED_PROBLEMS):
            if suggest_name(str(key), (discriminator,)):
                return Finding((*self.place.path, str(key)), f"unknown key, did you mean {discriminator}?")
        return Finding(path, "is missing", f"one of {join_names(tuple(tags))}")

    def _literal_secret(self) -> Finding:
        path = self.place.path
        if path and path[-1] == "secret":
            return Finding(
                path, "is not the name of a secret", "letters, digits, - and _, at most 127; not the secret value"
            )
        return Finding(path, "must not contain a secret value", "reference the secret by its name: {secret: NAME}")

    def _sentence(self) -> tuple[str, str]:
        """Return message and hint for a wrong value."""
        if self.kind == "literal_error":
            allowed = tuple(re.findall(r"'([^']*)'", str(self.context.get("expected", ""))))
            return describe_wrong_choice(self.value, allowed, show=self._may_show())
        if self.kind == "value_error":
            return self._own_words(), ""
        if self.kind == "string_pattern_mismatch":
            wanted = self.place.description or f"the form is {self.context.get('pattern')}"
            return f"{self._shown()} has the wrong form", wanted
        if limit := _LIMIT_MESSAGES.get(self.kind):
            value = "it" if self.kind.startswith(("string_too", "too_")) else self._shown()
            context = {key: format_limit(one, self.place.type, self.value) for key, one in self.context.items()}
            return f"{value} {limit.format(**context)}", ""
        if self.kind == "string_type" and isinstance(self.value, (int, float)):
            return f"{self._shown()} is not a text", self.place.description or "write it in quotes"
        if kind_of_value := _TYPE_NAMES.get(self.kind):
            return f"{self._shown()} is not {kind_of_value}", self._offer() or self.place.description
        return self.text.replace("Input should be", "must be").replace("Value error, ", ""), self.place.description

    def _offer(self) -> str:
        """Return the hint with the corrected form of a value; empty if it is unknown."""
        path = self.place.path
        if self.kind not in _WRONG_FORM_ERRORS or not path or not self._may_show():
            return ""
        offer = correct_value(path[-1], self.value, path[-2] if len(path) > 1 else "")
        if offer is not None:
            return f"write {offer}"
        if path[-2:-1] == ("expect",):
            return "write a mapping, such as {status: 200}"
        return ""

    def _own_words(self) -> str:
        """Return the message of our own validator, without the value if that can be a secret."""
        words = make_printable(str(self.context.get("error", self.text)), _MOST_MESSAGE_CHARACTERS)
        if not isinstance(self.value, str) or not self.value:
            return words
        if not self._may_show():
            words = words.replace(repr(self.value), "the value")
            return "has the wrong form" if self.value in words else words
        if "://" in self.value:
            return words.replace(self.value, strip_url_secrets(self.value))
        return words

    def _may_show(self) -> bool:
        return not any(looks_secret(key) for key in self.place.path)

    def _shown(self) -> str:
        """Format the value if it cannot be a secret."""
        return format_value(self.value) if self._may_show() else "the value"


_MOST_MESSAGE_CHARACTERS = 400

_LIMIT_MESSAGES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "is too small: at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "is too large: at most {le}",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_short": "has too few entries: at least {min_length}",
    "too_long": "has too many entries: at most {max_length}",
}

_WRONG_FORM_ERRORS = frozenset(
    {"dict_type", "mapping_type", "model_type", "model_attributes_type", "list_type", "tuple_type"}
    | {"union_tag_not_found", "union_tag_invalid"}
)
"""Errors about a value that must be a mapping or a list."""

_TYPE_NAMES = {
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
