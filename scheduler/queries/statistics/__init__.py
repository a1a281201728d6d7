"""Statistics of runs, read from the rollups."""
