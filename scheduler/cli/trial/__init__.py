"""Runs the jobs of a working copy once, without a store. Called by the command `test`."""
