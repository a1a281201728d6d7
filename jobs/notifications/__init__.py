"""Notifications: what a message about an incident contains, and the channels that send it.

A channel is a module in jobs.notifications.channels with its model and its
sender, and a line in the registry there.
"""
