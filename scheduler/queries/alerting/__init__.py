"""Reads what notifies people, and what holds that back. Used by the API and the commands."""
