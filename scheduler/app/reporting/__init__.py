"""Builds what the program reports about itself. Called by scheduler.app."""
