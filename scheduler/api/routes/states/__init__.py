"""Routes for the states of jobs."""
