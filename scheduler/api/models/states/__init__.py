"""Response models of the states of jobs."""
