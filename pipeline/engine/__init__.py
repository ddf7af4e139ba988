"""Floor 3, the engine: the loop (fold, decide, perform, append), its fan-out and its heartbeat.

It decides nothing (that is `pipeline.decide`) and knows no adapter (it is given ports).
"""
