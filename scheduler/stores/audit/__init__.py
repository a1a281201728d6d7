"""The stored audit trail: a chain of entries (chain) and its rows (log)."""
