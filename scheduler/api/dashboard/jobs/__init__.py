"""The pages of jobs and runs."""
