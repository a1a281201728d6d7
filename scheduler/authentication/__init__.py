"""Finds out who sends a request: API keys, Entra tokens, platform authentication, sessions."""
