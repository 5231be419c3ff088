"""One end of a connection is given up in some way; the other goes on writing.

usage: ends.py HOW SIDE FAMILY UNREAD LINGER READER
  HOW     close, exit, kill, dups, fork, exec, or one of them behind 'shut-'
  SIDE    accepted or connecting: the end that is given up
  FAMILY  4 or 6
  UNREAD  unread: bytes wait at that end
  LINGER  none, zero (reset), some
  READER  first: the survivor reads to the end before it writes

What the survivor sees is printed: each write's outcome, what poll shows, the end of
its reads, and the states in TCP_INFO."""
import errno
import os
import select
import signal
import socket
import struct
import sys

HOW, SIDE, FAMILY, UNREAD, LINGER, READER = sys.argv[1:]
BOUND = 2.0  # seconds; nothing takes as long


def outcome(f):
    try:
        return f()
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def state(s):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def pair():
    """The end that is given up, the survivor."""
    if FAMILY == "6":
        ls = socket.create_server(("::1", 0), family=socket.AF_INET6)
    else:
        ls = socket.create_server(("127.0.0.1", 0))
    c = socket.socket(ls.family)
    c.connect(ls.getsockname())
    a = ls.accept()[0]
    return (a, c) if SIDE == "accepted" else (c, a)


def prepare(s):
    """The process that holds s does what comes before the end."""
    s.sendall(b"bye")
    if UNREAD == "unread":
        select.select([s], [], [])
    if LINGER != "none":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0 if LINGER == "zero" else 5))
    if HOW.startswith("shut-"):
        s.shutdown(socket.SHUT_WR)


def give_up(s, survivor):
    """Ends s by HOW, and returns what is to be done at the very end."""
    how = HOW.removeprefix("shut-")
    if how == "close":
        prepare(s)
        s.close()
    elif how == "dups":
        d = s.dup()
        prepare(s)
        s.close()
        print("one of two closed:", sees(survivor))
        d.close()
    elif how == "fork":
        prepare(s)
        go, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            survivor.close()
            os.close(tell)
            os.read(go, 1)
            os._exit(0)
        s.close()
        print("closed in the parent:", sees(survivor))
        os.close(tell)
        os.waitpid(pid, 0)
    else:  # in a process of its own: exit, kill, exec
        other(how, s, survivor)


def other(how, s, survivor):
    told, tell = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        survivor.close()
        os.close(release)
        prepare(s)
        if how == "exit":
            os._exit(0)
        os.write(tell, b"x")
        if how == "exec":
            os.set_inheritable(hold, True)
            os.execvp("sh", ["sh", "-c", "read x <&%d" % hold])
        signal.pause()
    s.close()
    if how == "exit":
        os.waitpid(pid, 0)
    else:
        os.read(told, 1)
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if how == "exec":
        at_end.append(lambda: (os.close(release), os.waitpid(pid, 0)))


at_end = []


def sees(s):
    """Whether the survivor sees an end of the stream: it must not while others hold it."""
    end = HOW.startswith("shut-")
    p = select.poll()
    p.register(s, select.POLLRDHUP)
    return "%#x" % sum(e for _, e in p.poll(BOUND * 1000 if end else 50))


# docs/CONFORMANCE.md declares that poll shows no POLLERR for a reset after the end
# of the stream, so it is left out of what is printed; and that a send on a stream
# that was reset is EPIPE, and the error the next receive's, where Linux's send takes
# it: so only that it fails is.


def polled(s, events, timeout):
    p = select.poll()
    p.register(s, events)
    return "%#x" % (sum(e for _, e in p.poll(timeout * 1000)) & ~select.POLLERR)


def polite(s):
    """The end was announced. The first write is answered with a reset."""
    print("poll after the end:", polled(s, select.POLLRDHUP, BOUND))
    s.settimeout(BOUND)
    if READER == "first":
        print("reads:", outcome(lambda: s.recv(100)), outcome(lambda: s.recv(100)), "state", state(s))
    print("write:", outcome(lambda: s.send(b"x" * 10)))
    print("poll:", polled(s, 0, BOUND), "state:", state(s))
    print("write:", outcome(lambda: s.send(b"x" * 65536)))
    print("write:", outcome(lambda: s.send(b"x")))
    print("reads:", outcome(lambda: s.recv(100)), outcome(lambda: s.recv(100)))
    print("poll:", polled(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP, 0), "state:", state(s))


def reset(s):
    """The end was a reset, behind the bytes that came before it."""
    print("poll after the reset:", polled(s, 0, BOUND), "state:", state(s))
    s.settimeout(BOUND)
    if READER == "first":
        print("reads:", outcome(lambda: s.recv(100)), outcome(lambda: s.recv(100)))
    for n in 10, 65536, 1:
        print("write fails:", outcome(lambda: s.send(b"x" * n)) in ("EPIPE", "ECONNRESET"))
    print("poll:", polled(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP, 0), "state:", state(s))


def main():
    s, survivor = pair()
    if UNREAD == "unread":
        survivor.sendall(b"for nobody")
    give_up(s, survivor)
    if UNREAD == "unread" or LINGER == "zero":
        reset(survivor)
    else:
        polite(survivor)
    survivor.close()
    for f in at_end:
        f()


main()
