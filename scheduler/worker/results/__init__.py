"""Results of runs: writing them in groups, and holding them while the store is unavailable."""
