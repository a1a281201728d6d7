"""Writes what a message offers as JSON, for a problem in a JSON file: `write "retry": {"attempts": 3}`.

Called by config.documents.document. Messages offer forms as YAML writes them on one line, which JSON files cannot hold.
"""

from __future__ import annotations

import json
import re
from typing import Any

from config.documents import yaml_text
from config.documents.parse_result import ParseError

_EXAMPLE = re.compile(r"(?P<word>\bwrite |\(or )(?:(?P<key>[a-z_]+): )?(?P<form>[\[{\"'].*)", re.DOTALL)
_CLOSING_SIGNS = {"{": "}", "[": "]", '"': '"', "'": "'"}


def rewrite_examples_as_json(text: str) -> str:
    """The message or hint with each form that it offers as JSON; unchanged without one that YAML can read."""
    found = _EXAMPLE.search(text)
    if found is None:
        return text
    form = found["form"]
    closing = _CLOSING_SIGNS[form[0]]
    ends = [place + 1 for place, sign in enumerate(form) if sign == closing and place]
    for end in ends if form[0] in "\"'" else reversed(ends):
        value = _parse_example(form[:end])
        if value is not None:
            key = f"{json.dumps(found['key'])}: " if found["key"] else ""
            rest = form[end:].removeprefix(" (in quotes)")
            written = f"{found['word']}{key}{json.dumps(value, ensure_ascii=False)}"
            return f"{text[: found.start()]}{written}{rewrite_examples_as_json(rest)}"
    return text


def _parse_example(form: str) -> Any:
    try:
        return yaml_text.parse_yaml(form).value
    except ParseError:
        return None
