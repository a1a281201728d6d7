"""Jobs that start after other jobs: the port of the worker, the trigger, and chains of runs."""
