"""A server is killed while a client has a connection to it."""
import errno
import os
import select
import signal
import socket
import sys

UNREAD = sys.argv[1] == "unread"
listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
ready, tell = os.pipe()
pid = os.fork()
if pid == 0:
    connection, _ = listener.accept()
    if UNREAD:
        select.select([connection], [], [])
    else:
        connection.recv(100)
    os.write(tell, b"x")
    signal.pause()
listener.close()
client = socket.create_connection(address)
client.sendall(b"some bytes")
os.read(ready, 1)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)


def outcome(name, f):
    try:
        r = f()
    except OSError as e:
        r = errno.errorcode[e.errno]
    print("%s: %s" % (name, r))


outcome("recv", lambda: "end" if client.recv(100) == b"" else "bytes")
outcome("send", lambda: "ok" if client.send(b"x") == 1 else "short")
# The answer to that is a reset, if the server's end was not reset before.
poller = select.poll()
poller.register(client, 0)
poller.poll(10000)
outcome("send", lambda: "ok" if client.send(b"y") == 1 else "short")
outcome("connect", lambda: socket.create_connection(address))
