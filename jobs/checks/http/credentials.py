"""The values of a request that stand elsewhere, once they are there. Got by fetching.py, used by requests.py. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.model_base import SecretRef
from jobs.redaction.value_holders import CurrentSecrets


@dataclass(frozen=True, slots=True)
class ResolvedCredentials:
    """Everything that one request needs from outside."""

    secrets: Mapping[str, str]
    token: str = ""

    def resolve(self, value: str | SecretRef) -> str:
        """A text of the definition, or the secret that it refers to."""
        return self.secrets[value.secret] if isinstance(value, SecretRef) else value


NO_CREDENTIALS = ResolvedCredentials({})


def basic_authorization(user: str, password: str, derived: CurrentSecrets) -> str:
    """The value of a Basic Authorization header; registered, as it tells the password to whoever decodes it."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    derived.set_unnamed(encoded)
    return f"Basic {encoded}"
