"""Which channels receive the notifications of an incident: routes, rotas and digests. Pure.

`routing.channels_of` answers for an incident and an instant, with the reason of each route. `routes` has the form in
job files, `rota` who is on call, `digest` when what can wait is sent.
"""
