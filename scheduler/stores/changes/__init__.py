"""The stored changes of the states of jobs."""
