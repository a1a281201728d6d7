"""Runs as spans of OpenTelemetry, for the exporters that send traces."""
