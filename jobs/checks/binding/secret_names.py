"""Names of secrets as rules compare them. Pure."""

from __future__ import annotations


def normalize_secret_name(name: str) -> str:
    """Return a secret's name as variables, files and the vault compare it: `Checkout_Token` is `checkout-token`."""
    return name.lower().replace("_", "-")
