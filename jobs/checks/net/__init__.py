"""Connections: resolving, TCP, TLS and DNS packets."""
