"""Imports jobs from the configuration of other tools."""
