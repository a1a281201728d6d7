"""Changes of stored jobs: one job, or a set."""
