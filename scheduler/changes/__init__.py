"""Records the changes of the states of jobs."""
