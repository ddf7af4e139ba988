"""Room: adapters/local/front. The front's own process: environment, wiring, serving, an orderly end.

It binds the loopback address only and hands nothing of the caller's environment that names AWS to ministack.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from pipeline.adapters.local.front.cloud import Cloud
from pipeline.adapters.local.front.home import Home

__all__ = ["MARK_VARIABLE", "serve"]

MARK_VARIABLE = "TIDEGATE_FRONT_MARK"
_FOREIGN = ("AWS_", "MINISTACK_", "LOCALSTACK_", "S3_", "LAMBDA_", "SERVICES", "DOCKER_", "EDGE_PORT")


def serve(home_path: Path, port: int) -> None:
    """Serve until SIGTERM or SIGINT; state is written on the way out."""
    home = Home(path=home_path)
    home.prepare()
    origin = f"http://127.0.0.1:{port}"
    mark = os.environ.get(MARK_VARIABLE, "")
    _set_environment(os.environ, home, port, origin)
    cloud = Cloud(home=home, origin=origin)
    os.environ["MINISTACK_ACCOUNT_ID"] = cloud.management_id
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_run(cloud, port, mark))


def _set_environment(environ: MutableMapping[str, str], home: Home, port: int, origin: str) -> None:
    """ministack reads all of this when it is imported."""
    for name in tuple(environ):
        if name.startswith(_FOREIGN):
            del environ[name]
    environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(home.state),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(home.state / "s3"),
            "LOG_LEVEL": "WARNING",
            # No docker: everything runs in processes of this one.
            "DOCKER_HOST": "unix:///nonexistent",
            "MINISTACK_REGION": "us-east-1",
            # Whatever stands here counts as root for ministack, so it is a word that nobody knows.
            "AWS_ACCESS_KEY_ID": secrets.token_hex(24),
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(24),
            "AWS_ENDPOINT_URL": origin,
        }
    )


async def _run(cloud: Cloud, port: int, mark: str) -> None:
    from hypercorn.asyncio import serve as serve_asgi
    from hypercorn.config import Config

    from pipeline.adapters.local.front.wiring import application

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.backlog = 1024
    config.loglevel = "WARNING"
    served: Any = application(cloud, mark)

    async def until_stopped() -> None:
        await stop.wait()

    await serve_asgi(served, config, shutdown_trigger=until_stopped)
    cloud.home.unsaved.unlink(missing_ok=True)
    # Everything is saved. Threads of ministack that wait for a custom resource, an hour at most, must not keep the
    # process alive: Python would join them.
    logging.shutdown()
    os._exit(0)
