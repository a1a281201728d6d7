"""Where secrets come from: environment variables, mounted files, Key Vault. Opened and closed by scheduler.app."""

from config.secrets.chain import SecretChain, build_secrets
from config.secrets.known import secret_values

__all__ = ["SecretChain", "build_secrets", "secret_values"]
