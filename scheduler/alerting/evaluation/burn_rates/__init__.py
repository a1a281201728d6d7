"""What is evaluated of burn rates: the counts of runs in windows, and objectives over several jobs."""
