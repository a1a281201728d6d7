"""Judges a deployment by the runs of its jobs. Called by the command `gate`."""
