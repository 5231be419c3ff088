"""Urgent data: SIGURG, POLLPRI, the mark, MSG_OOB."""
import errno
import fcntl
import os
import select
import signal
import socket
import struct

SIOCATMARK = 0x8905

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
signals = []
signal.signal(signal.SIGURG, lambda *_: signals.append("SIGURG"))
fcntl.fcntl(server, fcntl.F_SETOWN, os.getpid())


def at_mark():
    b = bytearray(4)
    fcntl.ioctl(server, SIOCATMARK, b)
    return struct.unpack("i", b)[0]


client.send(b"before")
client.send(b"!", socket.MSG_OOB)
client.send(b"after")
poll = select.poll()
poll.register(server, select.POLLPRI)
assert poll.poll(20000)[0][1] & select.POLLPRI
assert at_mark() == 0 and server.recv(100) == b"before"
assert at_mark() == 1 and server.recv(1, socket.MSG_OOB) == b"!"
client.shutdown(socket.SHUT_WR)
assert server.recv(5, socket.MSG_WAITALL) == b"after"
try:
    server.recv(1, socket.MSG_OOB)
except OSError as e:
    assert e.errno == errno.EINVAL, e
assert server.recv(1) == b"" and signals == ["SIGURG"], signals
print("urgent data came")
