"""Portable dumps of a store: made while the program runs, verified, and restored into any store."""
