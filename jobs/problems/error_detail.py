"""The message of one pydantic error. Called by error_formatting.py. Values of keys that look secret are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from jobs.problems.error_texts import LIMIT_MESSAGES, TYPE_NAMES, WRONG_FORM_ERRORS
from jobs.problems.findings import MOST_LISTED_PROBLEMS, Finding, KeyPath, looks_secret, make_printable
from jobs.problems.key_corrections import correct_check_key, correct_job_key
from jobs.problems.limit_formatting import format_limit
from jobs.problems.loc_paths import ModelLocation, allowed_values, known_keys, locate, union_tags
from jobs.problems.suggestions import join_names, suggest_name
from jobs.problems.value_corrections import correct_value
from jobs.problems.value_formatting import describe_unknown_key, describe_wrong_choice, format_value

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


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
            for key in islice(self.value, MOST_LISTED_PROBLEMS):
                if near := suggest_name(str(key), keys):
                    return Finding((*self.location.path, str(key)), f"unknown key, did you mean {near}?", choices)
            return Finding(self.location.path, "has no known key", choices)
        path = (*self.location.path, discriminator)
        if discriminator in self.value:
            return Finding(path, *describe_wrong_choice(self.value[discriminator], tuple(tags)))
        for key in islice(self.value, MOST_LISTED_PROBLEMS):
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
        message = make_printable(str(self.context.get("error", self.text)), _MOST_MESSAGE_CHARACTERS)
        may_leak = isinstance(self.value, str) and bool(self.value) and not self._can_show_value()
        return "has the wrong form" if may_leak and self.value in message else message

    def _can_show_value(self) -> bool:
        return not any(looks_secret(key) for key in self.location.path)

    def _format_value(self) -> str:
        """Format the value if it cannot be a secret."""
        return format_value(self.value) if self._can_show_value() else "the value"


_MOST_MESSAGE_CHARACTERS = 400
