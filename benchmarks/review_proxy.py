"""A network that takes its time: passes every byte on after a delay, websockets included.

    python benchmarks/review_proxy.py PORT SECONDS

Prints the port on which it listens, and passes what comes there to PORT on this machine, SECONDS late in
each direction.
"""

from __future__ import annotations

import asyncio
import sys


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Everything from `reader` to `writer`, each piece `delay` seconds late, in order."""
    loop = asyncio.get_running_loop()
    late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, piece = await late.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()

    writing = asyncio.create_task(write())
    try:
        while piece := await reader.read(65_536):
            late.put_nowait((loop.time() + delay, piece))
        late.put_nowait((loop.time() + delay, b""))
        await writing
    except OSError:
        writing.cancel()
    finally:
        writer.close()


async def serve(port: int, delay: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, back, delay), pass_on(there, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
