"""Takes secrets out of the texts of a judgement that another process makes, without telling it a secret. Pure.

There each text that would be redacted and shortened is put aside, and a mark stands for it; here, where the secrets
are known, the marks are replaced.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence

from jobs.expectations.answer import shortened
from jobs.redaction import Redact


class Recorder:
    """A `Redact` that puts texts aside. No target can write a mark, as it does not know the random part of it."""

    def __init__(self) -> None:
        self.nonce = secrets.token_hex(8)
        self.texts: list[tuple[str, bool]] = []
        """With each, whether it is the begin of a longer one."""

    def __call__(self, text: str, *, cut: bool = False) -> str:
        self.texts.append((text, cut))
        return f"<{self.nonce}:{len(self.texts) - 1}>"


def completing(nonce: str, texts: Sequence[tuple[str, bool]], redact: Redact) -> Callable[[str], str]:
    """A function that puts the recorded texts into a text with marks, redacted and shortened."""
    mark = re.compile(rf"<{re.escape(nonce)}:(\d+)>")

    def shown(found: re.Match[str]) -> str:
        text, cut = texts[int(found[1])]
        return shortened(redact(complete(text), cut=cut))

    def complete(text: str) -> str:
        # A text that was put aside may have marks of earlier ones in it.
        return mark.sub(shown, text)

    return complete
