"""Derives the name of a secret from a flat job without one: `external-api-health-token`. Called by conversion.py.

The first version of the program looked up secrets by the name of the job, so its files contain no names.
"""

from __future__ import annotations

import hashlib
import re

LONGEST_SECRET_NAME = 127
"""Characters in the name of a Key Vault secret: letters, digits and dashes."""

_VARIABLE_PREFIX = "SCHEDULER_SECRET_"
"""The same as in config.settings.layers; a test compares them."""
_HASH_LENGTH = 8
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
"""An acronym (without the capital that starts the next word) or a word, with trailing digits, or digits."""


def default_secret_name(job: str, purpose: str) -> str:
    """Return the job's name in kebab-case with the purpose as suffix: `externalAPI` gives `external-api-token`.

    Valid in Key Vault for every name. A long name is cut, with a hash that keeps it unique.
    """
    kebab = "-".join(_WORD.findall(job)).lower() or f"job-{_hash(job)}"
    longest = LONGEST_SECRET_NAME - len(purpose) - 1
    if len(kebab) > longest:
        kebab = f"{kebab[: longest - _HASH_LENGTH - 1].rstrip('-')}-{_hash(job)}"
    return f"{kebab}-{purpose}"


def _hash(job: str) -> str:
    return hashlib.sha256(job.encode(errors="surrogatepass")).hexdigest()[:_HASH_LENGTH]


def secret_variable(name: str) -> str:
    """Return the environment variable of a secret."""
    return _VARIABLE_PREFIX + name.upper().replace("-", "_")
