"""Snakemake that looks for ended jobs every two seconds.

The plugin for Slurm waits ten seconds longer after every look that found nothing new, as is right for a real cluster.
"""

import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def sleep(_: RemoteExecutor) -> None:
    await asyncio.sleep(2)


if __name__ == "__main__":
    RemoteExecutor.sleep = sleep
    main()
