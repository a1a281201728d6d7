"""Which hosts may get a secret or an access token of the app's identity, whoever writes the jobs.

hosts.py: what a rule says of a host. rules.py: the rules of the settings. recipients.py: who gets what of a target.
scopes.py: the tokens that no job gets. Rules come from config.bindings; the checks ask them before each request.
"""
