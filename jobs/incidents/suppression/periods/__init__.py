"""Periods of time: once, by a schedule, weekly, by calendar days. Pure.

`PeriodDefinition` is their form in a job file. `state_at` answers whether an instant is inside, and when that changes.
"""
