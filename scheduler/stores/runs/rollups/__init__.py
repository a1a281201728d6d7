"""Counts of finished runs by hour and day, which remain when the runs are deleted."""
