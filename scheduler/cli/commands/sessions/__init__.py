"""The command group `sessions`."""
