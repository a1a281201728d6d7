"""Limits the connections of the embedded host's HTTP server: their number, duration and memory.

Called by scheduler.hosts.embedded.host. Any client that reaches the port can open connections; they must not cost the
runs of jobs descriptors, memory or time.
"""
