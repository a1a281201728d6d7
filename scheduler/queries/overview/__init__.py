"""The state of all jobs at a glance, and the history of those that are shown."""
