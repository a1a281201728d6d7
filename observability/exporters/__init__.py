"""Where telemetry goes: one module a destination. Its SDK is imported only when its setting is there."""
