"""The checks that resources of Azure subscriptions need: job files, roles, and what has no check."""
