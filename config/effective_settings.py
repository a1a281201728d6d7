"""Lists the settings in force with their origins, without secrets. Called by scheduler.app.health_probes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from config.settings.loading import LoadedSettings

SET, NOT_SET = "set", "not set"
_BASE_FILE: Final = Path(__file__).parent / "environments" / "base.yaml"
_BASE_NAME: Final = "environments/base.yaml:"
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
"""A user name or a password in a URL."""
_INTERNAL: Final = ("unresolved",)
"""Fields of the model that no file and no variable sets."""
_KEY: Final = re.compile(r"([a-z_]+):")


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """`path`: such as ("log", "level"). `origin`: see LoadedSettings.find_origin. `value`: `set` for a secret."""

    path: tuple[str, ...]
    value: str
    origin: str
    is_default: bool
    is_secret: bool


def list_settings(loaded: LoadedSettings) -> Iterator[EffectiveSetting]:
    """Yield each setting in the order of the model."""
    yield from _list_fields(loaded, loaded.settings, ())


def read_descriptions() -> Mapping[str, str]:
    """Return the description of each group of settings: the comment before it in base.yaml."""
    try:
        lines = _BASE_FILE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in lines:
        if line.startswith("#"):
            comment.append(line.removeprefix("# "))
            continue
        if (key := _KEY.match(line)) is not None and comment:
            found[key[1]] = _join_lines(comment)
        comment = []
    return found


def _join_lines(lines: Sequence[str]) -> str:
    """Join the lines of a paragraph; an indented line and the one after it are separate lines."""
    text, was_indented = "", False
    for line in lines:
        is_indented = line.startswith(" ")
        text += ("\n" if is_indented or was_indented else " ") + " ".join(line.split())
        was_indented = is_indented
    return text.strip().replace("`", "")


def _list_fields(loaded: LoadedSettings, model: BaseModel, path: tuple[str, ...]) -> Iterator[EffectiveSetting]:
    as_json: dict[str, Any] = model.model_dump(mode="json")
    for name in type(model).model_fields:
        if name in _INTERNAL:
            continue
        value, full = getattr(model, name), (*path, name)
        if isinstance(value, BaseModel):
            yield from _list_fields(loaded, value, full)
            continue
        is_secret = isinstance(value, SecretStr) or _can_be_secret(model, name)
        origin = loaded.find_origin(*full)
        yield EffectiveSetting(
            full,
            _describe_secret(value) if is_secret else _to_text(as_json[name]),
            origin,
            is_default=origin.startswith("default of ") or _BASE_NAME in origin,
            is_secret=is_secret,
        )


def _can_be_secret(model: BaseModel, name: str) -> bool:
    """Return whether the setting is a secret when it is set."""
    return "SecretStr" in str(type(model).model_fields[name].annotation)


def _describe_secret(value: object) -> str:
    return NOT_SET if value is None else SET


def _to_text(value: Any) -> str:
    """Return the text of a value. Of a URL no user and password is part of it, although no setting accepts them."""
    if value is None:
        return NOT_SET
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _USER_INFO.sub("***@", text)
