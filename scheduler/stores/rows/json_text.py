"""The JSON of a row, written and read in one way. Used by all repositories.

Compact, and not escaped to ASCII: names and messages in other alphabets take a third of the space.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json


def encode_json(body: Any) -> str:
    """Half of a surrogate pair, in a message from outside, becomes `?`: no store accepts it."""
    try:
        return to_json(body).decode()
    except PydanticSerializationError:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def decode_json(text: str) -> Any:
    return from_json(text)


def is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True
