"""Incidents, silences and maintenance windows."""
