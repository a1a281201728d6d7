"""The destinations of telemetry, a module each. A destination's SDK is imported only with its setting."""
