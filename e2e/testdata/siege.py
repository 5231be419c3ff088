"""Many requests at one time to a web server, where descriptors are few.

    siege.py PORT AT_ONCE ROUNDS

Whoever is refused is refused with an error, and who gets an answer gets his own: a page
that is the number asked for. A server that has no descriptor for its file says 5xx, which is
an error. When the siege is over each request is answered again. The lines are the same
wherever that holds."""
import asyncio
import collections
import sys

port, at_once, rounds = map(int, sys.argv[1:])


async def ask(n):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    try:
        w.write(b"GET /%d HTTP/1.0\r\nHost: siege\r\n\r\n" % n)
        head, _, body = (await r.read()).partition(b"\r\n\r\n")
        if not head:
            raise ConnectionError("no answer")
        status = head.split()[1]
        if status.startswith(b"5"):
            raise ConnectionError(int(status), "an error of the server's")
        return status == b"200" and body == b"page %d\n" % n
    finally:
        w.close()


async def one(n, seen):
    try:
        seen["right" if await asyncio.wait_for(ask(n), 8) else "wrong"] += 1
    except Exception as e:
        seen[type(e).__name__ + " " + str(getattr(e, "errno", ""))] += 1


async def main():
    seen = collections.Counter()
    for _ in range(rounds):
        await asyncio.gather(*[one(n % 100, seen) for n in range(at_once)])
    print("#%s" % dict(seen))
    print("wrong answers:", seen["wrong"], "some are right:", seen["right"] > 0)
    late = collections.Counter()
    for n in range(20):
        await one(n, late)
    print("afterwards:", dict(late))


asyncio.run(main())
