"""Where secrets come from: environment variables, mounted files, Key Vault. Opened and closed by scheduler.app."""

from config.secrets.chain import SecretChain, build_secrets, find_settings_secrets

__all__ = ["SecretChain", "build_secrets", "find_settings_secrets"]
