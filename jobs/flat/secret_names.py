"""Names the secret of a flat job that gives none: after the job, `external-api-health-token`. Used by conversion.py.

The first generation of the program looked its secrets up by the job, so its files name none.
"""

from __future__ import annotations

import hashlib
import re

LONGEST_SECRET_NAME = 127
"""Characters in the name of a Key Vault secret: letters, digits and dashes."""

_VARIABLE_PREFIX = "SCHEDULER_SECRET_"
"""As config.settings.layers has it; a test compares both."""
_HASH_LENGTH = 8
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
"""An acronym (without the capital that begins the next word), a word, or digits; these belong to what precedes them."""


def default_secret_name(job: str, purpose: str) -> str:
    """Return the job's name in kebab-case with the purpose behind it: `externalAPI` gives `external-api-token`.

    Legal in Key Vault for every name. A name that is too long is cut, and a hash tells it from others cut alike.
    """
    kebab = "-".join(_WORD.findall(job)).lower() or f"job-{_hash(job)}"
    longest = LONGEST_SECRET_NAME - len(purpose) - 1
    if len(kebab) > longest:
        kebab = f"{kebab[: longest - _HASH_LENGTH - 1].rstrip('-')}-{_hash(job)}"
    return f"{kebab}-{purpose}"


def _hash(job: str) -> str:
    return hashlib.sha256(job.encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]


def secret_variable(name: str) -> str:
    """Return the environment variable that may hold a secret."""
    return _VARIABLE_PREFIX + name.upper().replace("-", "_")
