"""A proxy without sticky sessions: request after request goes to the next replica.

round_robin.py PORT-FILE COUNTS-FILE HOST:PORT…

Every request gets a connection of its own to both sides, by `Connection: close`, so that a client that would keep one
comes back with the next request. A replica that takes no connection is left out for that request. At the end the
counts of requests per replica are written to COUNTS-FILE.
"""

import asyncio
import itertools
import re
import signal
import sys


class Proxy:
    def __init__(self, replicas):
        self.replicas = replicas
        self.turn = itertools.cycle(range(len(replicas)))
        self.counts = [0] * len(replicas)

    async def connect(self):
        for _ in self.replicas:
            index = next(self.turn)
            host, port = self.replicas[index].rsplit(":", 1)
            try:
                streams = await asyncio.open_connection(host, int(port))
            except OSError:
                continue
            self.counts[index] += 1
            return streams
        return None

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()
            return
        head = re.sub(rb"\r\nconnection:[^\r]*", b"", head, flags=re.IGNORECASE)
        head = head[:-2] + b"Connection: close\r\n\r\n"
        replica = await self.connect()
        if replica is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        back, forth = replica
        forth.write(head)
        sending = asyncio.create_task(pass_on(reader, forth))
        await pass_on(back, writer)
        sending.cancel()
        for end in (writer, forth):
            end.close()


async def pass_on(reader, writer):
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass


async def main(port_file, counts_file, *replicas):
    proxy = Proxy(replicas)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 20)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    with open(port_file, "w") as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    await ended.wait()
    with open(counts_file, "w") as file:
        file.write(" ".join(map(str, proxy.counts)) + "\n")


asyncio.run(main(*sys.argv[1:]))
