"""Executes tickets: admit -> claim -> run -> record -> publish -> start dependents.

`worker` is the entry point. This package imports nothing by itself.
"""
