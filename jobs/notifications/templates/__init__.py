"""Templates of messages: a small part of Jinja2, bounded by construction, and the default texts.

sandbox.py compiles and renders; definition.py gives templates the fields of a rendered message (a channel's own
body); incident_message.py makes the message of a transition.
"""
