"""The pages of those who operate the scheduler: runs, dead letters, circuits, secrets, audit, health, settings."""
