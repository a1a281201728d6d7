"""Unsaved definitions and stored jobs, with what of config they need."""
