"""An asyncio program that holds what it uses: each download keeps CPU and is told of, and a second task watches all.

    python examples/downloads.py [COUNT]

No download is real: it sleeps. What matters is the end. However a download ends, by finishing, failing or Ctrl-C, its
hold is released; and if this process is killed, nobody renews its grants, and they run out.
"""

import argparse
import asyncio

import grantwheel
from grantwheel import ResourceType, aio


async def download(manager: grantwheel.Manager, number: int) -> None:
    """Hold CPU for as long as it takes."""
    async with manager.hold(ResourceType.CPU, uid=1000 + number, pid=1, reason=f"download {number}"):
        await asyncio.sleep(0.02 * number)
        if number % 3 == 0:
            raise ConnectionError(f"download {number} has failed")


async def watch(events: aio.EventStream) -> None:
    """Print what happens to whose grants."""
    async for event in events:
        print(event.uid, event.kind, event.cause, flush=True)


async def run(count: int) -> None:
    """Do all downloads at once."""
    manager = grantwheel.Manager()
    async with aio.running(manager):
        watching = asyncio.create_task(watch(aio.events(manager)))
        work = [download(manager, number) for number in range(1, count + 1)]
        results = await asyncio.gather(*work, return_exceptions=True)
        failed = sum(isinstance(result, Exception) for result in results)
        await asyncio.sleep(0)  # the watcher has the last events
        watching.cancel()
        print(f"{count - failed} done, {failed} failed, {manager.count(ResourceType.CPU)} hold CPU")
    manager.close()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Downloads that hold CPU while they last.")
    parser.add_argument("count", nargs="?", type=int, default=4, help="how many (4)")
    asyncio.run(run(parser.parse_args().count))


if __name__ == "__main__":
    main()
