"""A real SMTP server (aiosmtpd) that refuses one address, defers another once, and keeps what it takes in a folder."""

import asyncio
import pathlib
import sys

from aiosmtpd.smtp import SMTP


class Reader:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.deferred = False
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("deferred@") and not self.deferred:
            self.deferred = True
            return "451 4.2.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        name = f"{self.count}-{envelope.rcpt_tos[0]}.eml"
        (self.folder / ("new-" + name)).write_bytes(envelope.content)
        (self.folder / ("new-" + name)).rename(self.folder / name)
        return "250 2.0.0 taken"


async def main():
    reader = Reader(sys.argv[1])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(reader), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
