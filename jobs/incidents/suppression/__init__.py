"""What holds back notifications by agreement: maintenance windows, silences and mute times. Pure.

`finding.find_suppression` answers for one subject and instant; `finding.next_change_after` returns when answers change.
`periods` has the times, `windows` what users define with them.
"""
