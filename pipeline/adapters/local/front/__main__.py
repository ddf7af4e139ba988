"""Room: adapters/local/front. `python -m pipeline.adapters.local.front --home DIR --port P`; see `process.up`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.adapters.local.front.server import serve

__all__ = ["main"]


def main() -> None:
    """Parse the two arguments and serve."""
    parser = argparse.ArgumentParser(description="AWS on this machine")
    parser.add_argument("--home", type=Path, required=True, help="folder of this local AWS")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    arguments = parser.parse_args()
    serve(arguments.home, arguments.port)


if __name__ == "__main__":
    main()
