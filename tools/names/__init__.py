"""The tables of names in the documentation, written from the catalogue."""
