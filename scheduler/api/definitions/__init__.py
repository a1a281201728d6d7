"""Definitions that are not saved: validation, due instants, and the JSON schema. Called by scheduler.api.app."""
