"""Alert rules and their evaluation: when the condition of a rule is met, and when an alert fires. Pure.

What people learn of a firing alert is decided by jobs.incidents.
"""
