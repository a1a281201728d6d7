"""Drafts: definitions that a person edits."""
