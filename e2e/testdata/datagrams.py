"""Sends one datagram and at once ends what it was sent on, and counts what arrives."""
import os
import socket

COUNT = 50
LOCAL = ("127.0.0.1", 0)


def bound():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(LOCAL)
    s.settimeout(5)
    return s


def child(s, end):
    pid = os.fork()
    if pid == 0:
        end(s)
        os._exit(0)
    os.waitpid(pid, 0)


to, elsewhere = bound(), bound()

ENDS = {
    "SHUT_WR": lambda s: s.shutdown(socket.SHUT_WR),
    "SHUT_RDWR": lambda s: s.shutdown(socket.SHUT_RDWR),
    "close": lambda s: s.close(),
    "connect": lambda s: s.connect(elsewhere.getsockname()),
    "exit": lambda s: None,
}


def once(end, number):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(to.getsockname())

    def send(s):
        s.send(b"%d" % number)
        ENDS[end](s)

    if end == "exit":
        s.settimeout(None)
        child(s, send)
    else:
        send(s)
    s.close()
    try:
        return to.recv(9) == b"%d" % number
    except TimeoutError:
        return False


for end in ENDS:
    print(end, sum(once(end, i) for i in range(COUNT)))
elsewhere.setblocking(False)
try:
    print("elsewhere", elsewhere.recv(9))
except BlockingIOError:
    print("elsewhere nothing")

# Many at once, of which each end must wait for all: fewer than any queue holds.
for end in ENDS:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(to.getsockname())
    for i in range(COUNT):
        s.send(b"%d" % i)
    if end == "exit":
        child(s, lambda s: s.send(b"last"))
    else:
        ENDS[end](s)
    s.close()
    got = [to.recv(9) for i in range(COUNT + (end == "exit"))]
    print(end, len(got), got == sorted(got, key=lambda b: int(b) if b != b"last" else COUNT))

# One that is sent in parts.
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(to.getsockname())
for parts in ((b"a", socket.MSG_MORE), (b"b", 0)), ((b"c", socket.MSG_MORE), (b"d", socket.MSG_MORE), (b"e", 0)), ((b"f", 0),):
    for part, flags in parts:
        s.send(part, flags)
    print(to.recv(9))
