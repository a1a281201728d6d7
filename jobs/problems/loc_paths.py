"""Finds the location in a model of a pydantic error's `loc`. Called by error_formatting.py.

A `loc` also contains members of unions (`check.auth.bearer.token`), which are not keys of the file. The types along the
path distinguish them.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo

from jobs.model_base import SecretRef


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """The location of an error: its keys in the file, and the type in the model (None if unknown)."""

    path: tuple[str | int, ...]
    type: Any = None
    description: str = ""
    takes_secret_reference: bool = False


def locate(root: Any, loc: tuple[str | int, ...]) -> ModelLocation:
    """Follow `loc` from the model downwards."""
    path: list[str | int] = []
    at, description, secret = root, "", False
    for step in loc:
        at = _without_none(at)
        secret = secret or _unwrap_annotated(at) is SecretRef
        member = _union_member(at, step)
        if member is not None:
            at = member
            continue
        path.append(step)
        at, description = _child_type(at, step)
    secret = secret or _unwrap_annotated(_without_none(at)) is SecretRef
    return ModelLocation(tuple(path), at, description or _description(at), secret)


def allowed_values(at: Any) -> tuple[str, ...]:
    """Return the values of a literal type or an enumeration; empty for other types."""
    plain = _unwrap_annotated(_without_none(at))
    if get_origin(plain) is Literal:
        return tuple(map(str, get_args(plain)))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return tuple(str(member.value) for member in plain)
    return ()


def known_keys(at: Any) -> tuple[str, ...]:
    """Return the known keys of a type, then those one level below as paths (`check.url`)."""
    model = _model(at)
    if model is None:
        return ()
    own_names = tuple(_field_names(model))
    below = tuple(
        f"{name}.{key}"
        for name, field in model.model_fields.items()
        for key in dict.fromkeys(_keys_of_members(field.annotation))
    )
    return own_names + below


def union_tags(at: Any) -> tuple[dict[str, Any], str | None]:
    """Return the members of a discriminated union by tag, and the discriminating key (None: any of several)."""
    at = _without_none(at)
    discriminator = _discriminator(at)
    key = discriminator if isinstance(discriminator, str) else _kind_key(at)
    tags: dict[str, Any] = {}
    for member in _members(at):
        for tag in _tags(member, key):
            tags.setdefault(tag, member)
    return tags, key


def _kind_key(at: Any) -> str | None:
    """Return `kind` if it discriminates all members."""
    models = [_model(member) for member in _members(at)]
    kinded = models and all(model and get_origin(_annotation(model, "kind")) is Literal for model in models)
    return "kind" if kinded else None


def _annotation(model: type[BaseModel], name: str) -> Any:
    field = model.model_fields.get(name)
    return None if field is None else field.annotation


def _child_type(at: Any, step: str | int) -> tuple[Any, str]:
    at = _unwrap_annotated(_without_none(at))
    model = _model(at)
    if model is not None:
        field = _field(model, step)
        if field is None:
            return None, ""
        annotation = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        if field.discriminator is not None:
            annotation = Annotated[annotation, Discriminator(_discriminator_text(field.discriminator))]
        return annotation, field.description or ""
    arguments = get_args(at)
    origin = get_origin(at)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return (arguments[1] if len(arguments) == 2 else None), ""
    return (arguments[0] if arguments and isinstance(step, int) else None), ""


def _discriminator_text(discriminator: str | Discriminator) -> Any:
    return discriminator.discriminator if isinstance(discriminator, Discriminator) else discriminator


def _field(model: type[BaseModel], step: str | int) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if step in (name, field.alias, field.validation_alias):
            return field
    return None


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    by_name = bool(model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name"))
    for name, field in model.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
        yield alias or name
        if alias and by_name:
            yield name


def _keys_of_members(at: Any) -> Iterator[str]:
    for member in _members(at) or (at,):
        model = _model(member)
        if model is not None:
            yield from _field_names(model)


def _unwrap_annotated(at: Any) -> Any:
    """Return the type inside `Annotated[...]`."""
    while get_origin(at) is Annotated:
        at = get_args(at)[0]
    return at


def _model(at: Any) -> type[BaseModel] | None:
    plain = _unwrap_annotated(_without_none(at))
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _members(at: Any) -> tuple[Any, ...]:
    plain = _unwrap_annotated(at)
    if get_origin(plain) not in (Union, types.UnionType):
        return ()
    return tuple(member for member in get_args(plain) if member is not type(None))


def _without_none(at: Any) -> Any:
    """Return X for `X | None`, which has no part in a `loc`."""
    members = _members(at)
    if len(members) != 1:
        return at
    return _without_none(members[0])


def _union_member(at: Any, step: str | int) -> Any:
    """Return the member of a union that `step` names; None if `at` is not a union, or `step` is a key."""
    members = _members(at)
    if not members:
        return None
    discriminator = _discriminator(at)
    key = discriminator if isinstance(discriminator, str) else None
    for member in members:
        if step in _tags(member, key):
            return member
    return None


def _discriminator(at: Any) -> Any:
    for item in _metadata(at):
        if isinstance(item, Discriminator):
            return item.discriminator
        if isinstance(item, FieldInfo) and item.discriminator is not None:
            return _discriminator_text(item.discriminator)
    return None


def _tags(member: Any, key: str | None) -> tuple[str, ...]:
    """Return the names of this member in a `loc`."""
    model = _model(member)
    if key is not None and model is not None:
        field = model.model_fields.get(key)
        return tuple(str(value) for value in get_args(field.annotation)) if field is not None else ()
    for item in _metadata(member):
        if isinstance(item, Tag):
            return (item.tag,)
    plain = _unwrap_annotated(member)
    return (plain.__name__,) if isinstance(plain, type) else (str(plain),)


def _metadata(at: Any) -> Iterator[Any]:
    """Yield the metadata of `Annotated[...]`, outermost first."""
    while get_origin(at) is Annotated:
        at, *metadata = get_args(at)
        yield from metadata


def _description(at: Any) -> str:
    descriptions = (item.description for item in _metadata(at) if isinstance(item, FieldInfo))
    return next(filter(None, descriptions), "")
