"""Alert rules and their evaluation: when the condition of a rule is met, and when an alert fires. Pure.

Used by jobs.definition, which contains the rules of a job, and by scheduler.alerting, which evaluates them. What people
learn of a firing alert is decided by jobs.incidents.
"""
