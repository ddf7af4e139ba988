"""Floor 3, adapters: the ports of floor 2 against AWS, against this machine, and against a simulated cloud.

An adapter never decides anything, and never knows the engine, the stages or the configuration files.
"""
