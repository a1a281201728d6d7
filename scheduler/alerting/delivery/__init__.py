"""Delivery of the outbox: at least once with a deduplication key, in order within an incident and channel.

Called by the hosts: scheduler.alerting.delivery.delivery.OutboxDelivery runs a task a channel in the embedded host, and
`run_once` in the tick of the Functions host. The store implements scheduler.alerting.delivery.port.OutboxStore.
"""
