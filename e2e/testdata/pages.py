"""An asyncio server of numbered pages: pages.py PORT."""
import asyncio
import sys


async def serve(r, w):
    try:
        n = int((await r.readuntil(b"\r\n\r\n")).split()[1][1:])
        w.write(b"HTTP/1.0 200 OK\r\n\r\npage %d\n" % n)
        await w.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    w.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=200)
    # What is refused a descriptor is logged, and accepted later.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with server:
        await server.serve_forever()


asyncio.run(main())
