"""The scheduler's API as the scripts use it: health, ticks, runs, and the checks of a deployed version."""
