"""Names of secrets in the form that rules compare. Pure."""

from __future__ import annotations


def normalize_secret_name(name: str) -> str:
    """Return the form that variables, files and the vault share: `checkout-token` for `Checkout_Token`."""
    return name.lower().replace("_", "-")
