"""Which hosts may receive a secret or an access token of the app's identity.

host_patterns.py: how a rule names hosts. rules.py: the rules of the settings. recipients.py: who receives what of a
target. scopes.py: tokens that no job gets. config.check_rules builds the rules, the checks apply them before each
request.
"""
