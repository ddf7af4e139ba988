"""Floor 4, composition: the only place that knows stages and adapters, and the only one that reads the environment.

`house` builds what a verb needs; `proving` puts together what `release test` needs. Neither decides anything.
"""

from pipeline.compose.house import POOL_SIZE, Held, House, ask_to_stop, local_home, state_path

__all__ = ["POOL_SIZE", "Held", "House", "ask_to_stop", "local_home", "state_path"]
