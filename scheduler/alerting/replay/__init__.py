"""Replays of alerting: the functions that the program evaluates and notifies with, over stored runs, in virtual time.

history     what a replay reads, and the incidents that follow
alerts      the alerts of a job or a group
replaying   the order of time: from event to event
"""
