"""Reads what was given up or is rejected: dead letters, open circuits. Called by scheduler.api."""
