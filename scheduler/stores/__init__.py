"""What is remembered: a narrow table port, SQLite and Azure Tables behind it, and what is written once above it.

port                    the port, its changes and its errors
sqlite, azure_tables    the two stores; lane, file_lock, sqlite_*, azure_* are their parts
runs                    claims, runs, their listing and retention; run_* are its parts
circuits, cursors, dead_letters
"""
