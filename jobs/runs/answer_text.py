"""The start of a target's answer as one line for people. Pure.

Used by scheduler.features.incidents.facts for messages and pages.
"""

from __future__ import annotations

import re
from typing import Final

from jobs.problems import make_printable

MAX_ANSWER_CHARACTERS: Final = 200

_READ: Final = 4096
"""Characters of an answer that are read: its head can be long."""
_HTML: Final = re.compile(r"\s*<(?:!doctype\s+html|html|head|body|title|h[1-6]|center|div|p|pre)\b", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<[^<>]*(?:>|\Z)")
_ENTITIES: Final = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "#39": "'", "#x27": "'", "nbsp": " ", "amp": "&"}
"""Others stay as they are: redaction has searched the answer for secrets with these."""
_ENTITY: Final = re.compile(rf"&({'|'.join(_ENTITIES)});")


def format_answer(body: str) -> str:
    """Return at most MAX_ANSWER_CHARACTERS of an answer: printable, on one line, of an HTML page its text.

    `body`: redacted, as history stores it.
    """
    text = body[:_READ]
    if _HTML.match(text):
        text = _ENTITY.sub(lambda found: _ENTITIES[found[1]], _TAG.sub(" ", _UNSEEN.sub(" ", text)))
    return make_printable(" ".join(text.split()), MAX_ANSWER_CHARACTERS)
