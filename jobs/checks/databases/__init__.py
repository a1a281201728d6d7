"""Checks of databases: the frame of all kinds, and one module a product with its driver."""
