"""The base class of all definition models, shared field types, and texts without control characters.

A control character here is one that a terminal interprets or that changes the display order of a line: C0 except tab
and line breaks, DEL, C1, the separators U+2028 and U+2029, and the bidirectional embeddings, overrides and isolates.
Letters of every script are allowed, including right-to-left scripts with their marks (U+200E, U+200F, U+061C), and the
joiners of Persian, Indic scripts and emoji (U+200C, U+200D). Models refuse them; pages, the command line and messages
escape those of targets and callers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationInfo,
    WithJsonSchema,
)

from jobs.formats import DURATION_PATTERN, MAX_DURATION, format_duration, parse_duration


class FrozenModel(BaseModel):
    """An immutable model that rejects unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=False,
        hide_input_in_errors=True,
        # Most models are only validated as part of a job: a separate validator would never be used.
        defer_build=True,
    )


_ALIKE: dict[frozenset[str], set[str]] = {}
_NOTHING: dict[Any, Any] = {}
_MAX_SHARED_NAMES = 30
"""Instances of a class of which Python keeps names and values apart: at first it leaves room for so many names."""


def intern_state(model: BaseModel) -> None:
    """Let a frozen model have the names of its fields, of those that were given, and its empty mappings in common with
    others of its kind.

    Pydantic makes them anew for each, which is half of what a job takes in memory.
    """
    given = model.__pydantic_fields_set__
    object.__setattr__(model, "__pydantic_fields_set__", _ALIKE.setdefault(frozenset(given), given))
    values = vars(model)
    shared = _names_of(type(model)).copy()
    if shared.keys() != values.keys():  # a copy of a model with other fields
        return
    for name, value in values.items():
        shared[name] = _NOTHING if type(value) is dict and not value else value
    object.__setattr__(model, "__dict__", shared)


@cache
def _names_of(model: type[BaseModel]) -> dict[str, Any]:
    """A mapping with the model's fields whose copies share the names: Python makes them so for attributes alone."""
    bearer = type("_Bearer", (), {})
    values: dict[str, Any] = {}
    for _ in range(_MAX_SHARED_NAMES):
        one = bearer()
        for name in model.model_fields:
            setattr(one, name, None)
        values = vars(one)
    return values


HEADER_NAME_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"
"""A name that an HTTP header may have (RFC 9110, section 5.6.2)."""


class SecretRef(FrozenModel):
    """The name of a secret, never its value: `{secret: checkout-token}`."""

    secret: str = Field(min_length=1, max_length=127, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


def find_secret_names(value: object) -> frozenset[str]:
    """Return the names of all secrets that a model contains, at any depth."""
    found: set[str] = set()
    _add_secret_names(value, found)
    return frozenset(found)


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types of most values, skipped first: a catalog may contain ten thousand jobs."""


def _add_secret_names(value: object, names: set[str]) -> None:
    inner: Iterable[object] = ()
    if isinstance(value, SecretRef):
        names.add(value.secret)
    elif isinstance(value, BaseModel):
        inner = vars(value).values()
    elif isinstance(value, (tuple, list, frozenset)):
        inner = value
    elif isinstance(value, Mapping):
        inner = value.values()
    for each in inner:
        if type(each) not in _PLAIN:
            _add_secret_names(each, names)


def _text_or_secret(value: object) -> str:
    return "secret" if isinstance(value, (dict, SecretRef)) else "text"


TextOrSecret = Annotated[
    Annotated[str, Tag("text")] | Annotated[SecretRef, Tag("secret")], Discriminator(_text_or_secret)
]
"""A text in the definition, or a reference to a secret."""


FILE_CONTEXT = {"as_written": True}
"""Validation context of values from a file. Without it, code may pass seconds as floats."""


def read_seconds(value: Any, info: ValidationInfo) -> float:
    """Convert a text with a unit to seconds. Raises ValueError."""
    return value if type(value) is float and not info.context else parse_duration(value)


Duration = Annotated[
    float,
    BeforeValidator(read_seconds),
    Field(ge=0.0, le=MAX_DURATION),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["500ms", "10s", "2m"]}),
]
"""A field of seconds, parsed from and serialised to a text with a unit."""


def discriminate_by_key(*keys: str) -> Callable[[Any], str | None]:
    """Return a discriminator that chooses a union's member by the key that the mapping contains.

    For models without a `kind`, such as expectations: `{status: 200}`. Model instances are chosen by the same names.
    """

    def choose(value: Any) -> str | None:
        if isinstance(value, dict):
            return next((key for key in keys if key in value), None)
        fields = getattr(type(value), "model_fields", {})
        names = {field.alias or name for name, field in fields.items()}
        return next((key for key in keys if key in names), None)

    return choose


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")

_ORDER = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""The characters that change the direction of text."""


def escape_control_characters(text: str) -> str:
    """Replace each control character with an escape such as `\\x1b`; tabs and line breaks stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def refuse_control_characters(text: str) -> str:
    """Return the text unchanged. Raises ValueError: it contains a control character."""
    match = _CONTROL.search(text)
    if match is None:
        return text
    kind = "changes the direction of text" if _ORDER.match(match[0]) else "is a control character"
    raise ValueError(
        f"contains U+{ord(match[0]):04X} at character {match.start() + 1}, which {kind}: remove it "
        "(letters of all scripts, tabs and line breaks are allowed)"
    )


def _refuse_controls_in_mapping(texts: dict[str, str]) -> dict[str, str]:
    for name, value in texts.items():
        for what, text in (("name", name), ("value", value)):
            try:
                refuse_control_characters(text)
            except ValueError as error:
                raise ValueError(f"the {what} of {name[:40]!r} {error}") from None
    return texts


DisplayText = Annotated[str, AfterValidator(refuse_control_characters)]
"""A displayed text as a field of a model."""

DisplayTexts = Annotated[dict[str, str], AfterValidator(_refuse_controls_in_mapping)]
"""Displayed texts by name, such as tags, as a field of a model."""
