"""The fault matrix: every way we know of in which a release can go wrong, on the simulated cloud, again and again.

`scripts/faults` runs it. What is true is read from the cloud's own history and from the journal; the engine is
never asked.
"""
