"""The SQLite store: one file, its reader and writer threads, its schema, lock and damage check."""
