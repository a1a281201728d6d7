"""Writes the documents of the API, and finds changes that break its clients."""
