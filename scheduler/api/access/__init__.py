"""Decides which caller has access to which route. The only place that does; see scheduler.api.access.control."""
