"""The entries of `expect`, one or a few related classes a file. Listed in jobs.expectations.union."""
