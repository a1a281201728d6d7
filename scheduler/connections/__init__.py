"""The connections of the embedded host's HTTP server: how many, how long, how much. Used by scheduler.hosts.embedded.host.

Whoever can reach the port can open connections; the runs of jobs must not lose descriptors, memory or time by that.
"""
