"""Health documents of frameworks: reads them into entries, and judges the entries by the rules of a job. Pure.

Called by jobs.expectations.entries.health. A framework is a module with a function that reads its shape, and a line in
formats.py.
"""
