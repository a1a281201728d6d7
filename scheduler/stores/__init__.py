"""State and history: a narrow table port, its backends, and one repository for each thing that is stored.

port            the port, its changes and its errors sqlite, azure   the backends; a backend is a folder here and a line
in scheduler.app.adapters runs            claims, runs, their pages and retention rows            what all rows have in
common: atomic groups, size limits others          one repository each
"""
