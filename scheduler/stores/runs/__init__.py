"""Runs in the store: claims and results (repository), their rows (codec, keys), pages, open runs and rollups."""
