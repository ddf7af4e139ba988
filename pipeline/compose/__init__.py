"""Floor 4, composition: the only place that knows stages and adapters, and the only one that reads the environment.

`house` builds what a verb needs; `founding` and `proving` put together what bootstrap and test need besides. None of
them decides anything.
"""

from pipeline.compose.founding import found
from pipeline.compose.house import POOL_SIZE, Held, House, ask_to_stop, local_home, state_path
from pipeline.compose.proving import prove

__all__ = ["POOL_SIZE", "Held", "House", "ask_to_stop", "found", "local_home", "prove", "state_path"]
