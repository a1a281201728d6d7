"""Slots: how many runs of a group are in progress across all processes."""
