"""Incidents: what people learn of firing alerts, when, and why not. Pure.

An alert fires for one subject and one rule (jobs.alerting). An incident is one or more firing alerts that belong
together. jobs.incidents.engine advances incidents by alerts, suppressions and the clock. The same functions
answer explain-alert and replay history for a backtest.
"""
