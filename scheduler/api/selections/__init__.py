"""Actions on all jobs of a selection: bodies, responses and routes. Called by scheduler.api.app."""
