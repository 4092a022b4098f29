"""One process owns the manager, others ask it: for several processes on one machine, until grantwheel has a service.

    python examples/one_owner.py serve SOCKET
    python examples/one_owner.py ask SOCKET apply GPS 30000
    python examples/one_owner.py ask SOCKET release GPS
    python examples/one_owner.py ask SOCKET holders GPS

The owner listens on a Unix socket. A request is a line of JSON, ``["apply", mask, timeout]``, and so is its answer,
``{"ok": ...}`` or ``{"code": ..., "message": ...}``. Who asks is what the kernel knows of the other end of the socket:
its uid and pid, whatever the request says. Import `Client` to ask from a program.
"""

import argparse
import asyncio
import json
import signal
import socket
import struct
from pathlib import Path
from typing import Any

import grantwheel
from grantwheel import BusinessError, ResourceType, aio

CREDENTIALS = struct.Struct("iII")  # pid, uid, gid, as SO_PEERCRED has them
LONGEST_LINE = 4096


def answer(manager: grantwheel.Manager, uid: int, pid: int, line: bytes) -> dict[str, Any]:
    """Carry out one request of a process."""
    try:
        call, *arguments = json.loads(line)
        if not all(type(argument) is int for argument in arguments):
            raise TypeError("arguments must be integers")
        match call, arguments:
            case "apply", [mask, timeout]:
                return {"ok": manager.apply(uid, pid, mask, timeout)}
            case "release", [mask]:
                return {"ok": manager.release(uid, pid, mask)}
            case "holders", [mask]:
                return {"ok": manager.holders(mask)[0]}
        raise ValueError("no such call")
    except BusinessError as error:
        return {"code": error.code, "message": str(error)}
    except (ValueError, TypeError) as error:
        return {"code": 401, "message": f"not a request: {error}"}


async def serve(path: Path) -> None:
    """Own a manager and answer until SIGINT or SIGTERM."""
    manager = grantwheel.Manager()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: socket.socket = writer.get_extra_info("socket")
        pid, uid, _ = CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        try:
            while line := await reader.readline():
                writer.write(json.dumps(answer(manager, uid, pid, line)).encode() + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError):  # a line that is too long, or a peer that has gone
            pass
        finally:
            writer.close()

    async with aio.running(manager):
        server = await asyncio.start_unix_server(talk, path, limit=LONGEST_LINE)
        path.chmod(0o666)  # everybody may ask, as everybody asks for themselves
        print(f"serving on {path}", flush=True)
        await ended.wait()
        server.close()
        path.unlink(missing_ok=True)
    manager.close()


class Client:
    """Asks the owner on behalf of this process. One thread at a time; not across a fork."""

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def ask(self, call: str, *arguments: int) -> Any:
        """Return the answer, or raise a RuntimeError that has its code and message."""
        self._socket.sendall(json.dumps([call, *arguments]).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the owner has gone: whether it did what it was asked is not known")
        said = json.loads(line)
        if "ok" not in said:
            raise RuntimeError(said["message"])
        return said["ok"]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def main() -> None:
    """Serve, or ask once."""
    parser = argparse.ArgumentParser(description="One process owns the manager, others ask it over a Unix socket.")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    command = commands.add_parser("serve", help="own a manager and answer, until Ctrl-C")
    command.add_argument("socket", type=Path)
    command = commands.add_parser("ask", help="ask once, as this process")
    command.add_argument("socket", type=Path)
    command.add_argument("call", choices=["apply", "release", "holders"])
    command.add_argument("type", choices=[resource.name for resource in ResourceType.ALL], metavar="TYPE")
    command.add_argument("timeout", type=int, nargs="?", metavar="MILLISECONDS")
    options = parser.parse_args()
    if options.command == "serve":
        asyncio.run(serve(options.socket))
    else:
        timeout = [] if options.timeout is None else [options.timeout]
        client = Client(options.socket)
        try:
            print(client.ask(options.call, ResourceType[options.type], *timeout))
        except RuntimeError as error:
            raise SystemExit(str(error)) from None
        finally:
            client.close()


if __name__ == "__main__":
    main()
