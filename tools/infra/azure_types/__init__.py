"""The properties of Azure's resources, as Microsoft publishes them, in a form of our own. Used by tests/infra/azure."""
