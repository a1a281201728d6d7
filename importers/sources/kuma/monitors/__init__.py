"""Maps the monitors of Uptime Kuma, one module a family of types."""
