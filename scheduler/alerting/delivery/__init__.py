"""Delivery of the outbox: at least once with a deduplication key, in order within an incident and channel.

Called by the hosts: `OutboxDelivery` (scheduler.alerting.delivery.delivery) runs a task a channel in the embedded host, and
`run_once` in the tick of the Functions host. The store implements `OutboxStore` (scheduler.alerting.delivery.port).
"""
