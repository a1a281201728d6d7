"""The stored alerts, incidents and outbox: one table and one partition, so that a transition is one transaction.

rows           the keys and the text of all rows
engine         the state of the engine, and what its passes write, fenced by the engine's head; alerts, written by
               evaluators, each fenced by its etag
incident_log   incidents, transitions and decisions, for lists; deletes old ones
outbox         the outbox and the channels, for the delivery; what could not be delivered, for people
suppressions   silences and windows that were made over the API or the command line, in a separate table
"""
