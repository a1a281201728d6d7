"""How tickets are performed: from a batch that is taken to a run that is recorded and told.

`worker` is the front door. Imports nothing by itself.
"""
