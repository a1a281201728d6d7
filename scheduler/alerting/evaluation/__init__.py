"""Evaluates alert rules in the program: after each run, and with each tick of the host.

scheduler.app.alerting_setup creates the evaluator. What is pure is in jobs.alerting.
"""
