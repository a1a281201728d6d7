"""Backtests of alert rules: what would have been notified, against what was, by a replay of what is stored.

state_phases, read_ranges, estimated_runs    which runs can matter, and those that are not stored any more. Pure
run_reading, slow_hours, history             what is read of the store for a replay
stored_incidents, messages                   what was notified
comparison, backtester                       the backtest
"""
