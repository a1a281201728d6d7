"""Prometheus Alertmanager, to compare notifications: the program, and scenarios that both it and ours go through."""
