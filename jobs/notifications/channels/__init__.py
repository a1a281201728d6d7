"""The channels: one module each, with its model and its sender."""
