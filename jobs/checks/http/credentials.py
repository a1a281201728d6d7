"""The resolved secrets and tokens of a request. Loaded by credential_loading.py, used by requests.py. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.model_base import SecretRef
from jobs.redaction.value_holders import CurrentSecrets


@dataclass(frozen=True, slots=True)
class ResolvedCredentials:
    """Everything that one request needs from outside its definition."""

    secrets: Mapping[str, str]
    token: str = ""

    def resolve(self, value: str | SecretRef) -> str:
        """Return a text of the definition, or the secret that it refers to."""
        return self.secrets[value.secret] if isinstance(value, SecretRef) else value


NO_CREDENTIALS = ResolvedCredentials({})


def basic_authorization(user: str, password: str, derived: CurrentSecrets) -> str:
    """Return the value of a Basic Authorization header, registered with the redactor: it decodes to the password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    derived.set_unnamed(encoded)
    return f"Basic {encoded}"
