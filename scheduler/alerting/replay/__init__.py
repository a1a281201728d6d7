"""Replays of alerting: the functions that the program evaluates and notifies with, over stored runs, in virtual time.

history        what a replay reads of a job
job_alerts     the alerts of a job; group_alerts: those of a group
incidents      the incidents, by passes of the engine
replaying      the order of time: from event to event
"""
