"""The overview of all jobs."""
