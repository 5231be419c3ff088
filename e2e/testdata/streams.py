"""asyncio streams: an echo server and many clients at once, every byte checked."""
import asyncio
import resource
import sys

COUNT = int(sys.argv[1])


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def client(i, port, barrier):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await barrier()
    for k in range(5):
        text = b"client %d, round %d;" % (i, k) * 500
        writer.write(text)
        assert await reader.readexactly(len(text)) == text
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def main():
    connected = 0
    all_there = asyncio.Event()

    async def barrier():
        nonlocal connected
        connected += 1
        if connected == COUNT:
            all_there.set()
        await all_there.wait()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=COUNT)
    port = server.sockets[0].getsockname()[1]
    await asyncio.gather(*(client(i, port, barrier) for i in range(COUNT)))
    server.close()
    await server.wait_closed()
    print(COUNT, "clients")


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
asyncio.run(main())
