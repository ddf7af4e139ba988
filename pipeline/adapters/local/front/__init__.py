"""Room: adapters/local/front. AWS on one machine: ministack in a process of ours, and what it lacks of AWS.

This is the only place of the product that touches ministack's inside, and only in the front's own process.
It never listens anywhere but on the loopback address and never accepts a credential that it did not issue.
"""
