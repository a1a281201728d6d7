"""Requests to the destinations of telemetry, retained until they are accepted."""
