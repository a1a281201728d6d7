"""The checks, one kind a module."""
