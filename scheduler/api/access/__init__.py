"""Decides who may call which route. The only place that does; see scheduler.api.access.control."""
