"""Secrets in files that variables name."""
