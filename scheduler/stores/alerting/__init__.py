"""The stored alerts, incidents and outbox: one table and one partition, so that a transition is one transaction.

alert_rows     alerts, written by evaluators, each fenced by its etag
repository     the state of the engine, and the incidents that passes write, fenced by the engine's head
incident_log   incidents, transitions and decisions, for lists; deletes old ones
outbox         the outbox, the channels and what could not be delivered, for the delivery
undelivered    what could not be delivered, for people
writing        which rows a step of a pass changes, and which of them form a transaction
"""
