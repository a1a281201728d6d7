"""The embedded host: the API, the ticker and the worker in one process."""
