"""Which hosts may receive a secret or an access token of the app's identity.

names.py: how a rule names hosts, and tokens that no job gets. rules.py: the rules of the settings. recipients.py: who
receives what of a target. config.check_rules builds the rules, the checks apply them before each request.
"""
