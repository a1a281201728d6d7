"""Limits how many requests a principal may send, with the `limits` package: fixed windows, counted in this process or,
where several processes share a store, over all of them.

Used by scheduler.api.middleware.request_limits; built by scheduler.app.
"""
