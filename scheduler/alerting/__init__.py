"""Alerting: evaluates rules, runs the engine, and delivers what it has put into the outbox."""
