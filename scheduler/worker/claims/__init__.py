"""Claims of runs: making them, renewing their leases, and tickets without a claim."""
