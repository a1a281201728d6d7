"""The history of a job and of a run: states, changes of the definition, neighbours of a run, comparison of two runs."""
