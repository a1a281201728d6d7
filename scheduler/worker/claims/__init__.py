"""Claims of runs: making them and renewing their leases, and tickets that have no row yet."""
