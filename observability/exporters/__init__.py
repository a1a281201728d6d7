"""The destinations of telemetry, one folder each. A destination's SDK is imported only with its setting."""
