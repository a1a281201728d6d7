"""The scheduled query rules: about jobs, about objectives, about the scheduler itself."""
