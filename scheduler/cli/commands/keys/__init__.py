"""The command group `keys`."""
