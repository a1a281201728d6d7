"""The stored changes of the states of jobs, and the deployments that were marked."""
