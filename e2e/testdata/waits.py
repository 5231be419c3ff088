"""Calls that wait while another thread does something to their socket."""
import ctypes
import errno
import os
import signal
import socket
import struct
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
LOCAL = ("127.0.0.1", 0)
MSG_FASTOPEN = 0x20000000


def name(e):
    return errno.errorcode[e.errno]


def waits(thread):
    """Whether the thread is asleep in a system call on a socket."""
    task = "/proc/self/task/%d/" % thread.native_id
    with open(task + "syscall") as f:
        number = f.read().split()[0]
    with open(task + "stat") as f:
        state = f.read().rsplit(")", 1)[1].split()[0]
    return state == "S" and number in (NUMBERS if NUMBERS else [number])


# connect, sendto, recvfrom, recvmsg and recvmmsg
NUMBERS = {
    "x86_64": ["42", "44", "45", "47", "299"],
    "aarch64": ["203", "206", "207", "212", "243"],
}.get(os.uname().machine)
# A signal handled by any thread writes a byte here.
handled, wakeup = os.pipe()
os.set_blocking(wakeup, False)
signal.set_wakeup_fd(wakeup)
signal.signal(signal.SIGUSR1, lambda *_: None)


class Call:
    """A call that has begun on a thread of its own, and waits."""

    def __init__(self, f):
        self.result = None
        self.thread = threading.Thread(target=self.run, args=(f,))
        self.thread.start()
        self.until_it_waits()

    def until_it_waits(self):
        end = time.monotonic() + 10
        while self.thread.is_alive() and not waits(self.thread):
            assert time.monotonic() < end, "it neither waits nor returns"
        full.getsockname()  # who answers this has looked at the call before

    def interrupt(self):
        """Has its thread handle a signal."""
        signal.pthread_kill(self.thread.ident, signal.SIGUSR1)
        os.read(handled, 1)

    def run(self, f):
        try:
            self.result = f()
        except OSError as e:
            self.result = name(e)

    def end(self):
        self.thread.join()
        return self.result


def listener(backlog=5):
    s = socket.socket()
    s.bind(LOCAL)
    s.listen(backlog)
    return s


def dissolve(s):
    return libc.connect(s.fileno(), struct.pack("16x"), 16)


full = listener(0)
filler = socket.create_connection(full.getsockname())
other = listener()


def connecting(s):
    return Call(lambda: s.connect(full.getsockname()))


for how in socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR:
    c = socket.socket()
    call = connecting(c)
    c.shutdown(how)
    print("shut down:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    c.connect(other.getsockname())
    peer = other.accept()[0]
    c.sendall(b"anew")
    print("connected:", peer.recv(9))

c = socket.socket()
call = connecting(c)
dissolve(c)
print("dissolved:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
c.connect(other.getsockname())

def begun(to):
    """A socket on which an attempt to connect began without waiting, and calls wait from now on."""
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(to.getsockname())
    s.setblocking(True)
    return s


c = begun(full)
call = connecting(c)
dissolve(c)
print("begun before, dissolved:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

leaves = listener(0)
filler_of_leaves = socket.create_connection(leaves.getsockname())
c = begun(leaves)
call = Call(lambda: c.connect(("127.0.0.1", 1)))
leaves.close()
print("begun before, refused:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
c.connect(other.getsockname())
peer = other.accept()[0]
while peer.getpeername() != c.getsockname():
    peer = other.accept()[0]
c.sendall(b"anew")
print("connected:", peer.recv(9))

c = socket.socket()
calls = [connecting(c), connecting(c)]
c.shutdown(socket.SHUT_RDWR)
print("two callers:", sorted(call.end() for call in calls))

datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(LOCAL)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
call = Call(lambda: datagrams.recvfrom(9, socket.MSG_OOB)[0])
sender.sendto(b"ab", datagrams.getsockname())
print("no urgent data:", call.end())
try:
    datagrams.recvmsg(9, 99, socket.MSG_ERRQUEUE)
except OSError as e:
    print("error queue:", name(e))
message = ctypes.create_string_buffer(64)
libc.recvmmsg(datagrams.fileno(), message, 1, socket.MSG_ERRQUEUE, None)
print("error queue, of many:", errno.errorcode[ctypes.get_errno()])

c = socket.create_connection(other.getsockname())
other.settimeout(10)
peers = []
while not peers or peers[-1].getpeername() != c.getsockname():
    peers.append(other.accept()[0])
call = Call(lambda: c.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL))
peers[-1].sendall(b"ab")
peers[-1].sendall(b"cde")
print("peeked:", call.end())


def peeks():
    return Call(lambda: c.recv(9, socket.MSG_PEEK | socket.MSG_WAITALL))


call = peeks()
call.interrupt()
print("peeked before a signal:", call.end())
c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 300000))
print("peeked in time:", peeks().end())
c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
call = peeks()
print("received meanwhile:", c.recv(2))
peers[-1].sendall(b"fghi")
print("peeked with it:", call.end())
call = peeks()
dissolve(c)
print("peeked before it was dissolved:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def many(s, count, flags, seconds):
    """recvmmsg: how many came."""
    buffer = ctypes.create_string_buffer(9)
    vector = struct.pack("PL", ctypes.addressof(buffer), 9)
    iov = ctypes.create_string_buffer(vector)
    one = struct.pack("PLPLPLi4xI4x", 0, 0, ctypes.addressof(iov), 1, 0, 0, 0, 0)
    left = ctypes.create_string_buffer(struct.pack("ll", seconds, 0))
    n = libc.recvmmsg(s.fileno(), ctypes.create_string_buffer(one * count), count, flags, left)
    if n < 0:
        return errno.errorcode[ctypes.get_errno()]
    return n, 0 < struct.unpack("ll", left.raw[:16])[0] < seconds


call = Call(lambda: many(datagrams, 3, 0, 0))
sender.sendto(b"a", datagrams.getsockname())
print("many, without time:", call.end())
call = Call(lambda: many(datagrams, 2, 0, 100))
sender.sendto(b"a", datagrams.getsockname())
sender.sendto(b"b", datagrams.getsockname())
print("many, in time:", call.end())
signal.siginterrupt(signal.SIGUSR1, False)
c = socket.socket()
call = Call(lambda: c.sendto(b"hello", MSG_FASTOPEN, full.getsockname()))
call.interrupt()
call.until_it_waits()
c.shutdown(socket.SHUT_RDWR)
print("open and send, restarted:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
c = socket.socket()
call = Call(lambda: c.sendto(b"hello", MSG_FASTOPEN, full.getsockname()))
dissolve(c)
print("open and send, dissolved:", call.end(), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
print("ended")
