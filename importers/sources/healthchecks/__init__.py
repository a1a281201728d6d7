"""The source `healthchecks`: checks of the Management API of Healthchecks, as heartbeats."""
