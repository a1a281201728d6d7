"""Forecasts what is due: runs a cell of time, what suspends them, changes of local time, load and contention."""
