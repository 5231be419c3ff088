"""Sockets that are duplicated, inherited and passed to another process."""
import os
import socket
import threading

here, there = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))
pid = os.fork()
if pid == 0:
    _, fds, _, _ = socket.recv_fds(there, 10, 2)
    with socket.socket(fileno=fds[0]) as s:
        assert s.family == socket.AF_INET and s.recv(10) == b"request"
        s.sendall(b"answer to %d" % s.getpeername()[1])
    os._exit(0)
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
socket.send_fds(here, [b"x"], [server.fileno()])
server.close()
client.sendall(b"request")
assert client.recv(100) == b"answer to %d" % client.getsockname()[1]
assert client.recv(100) == b""
assert os.waitpid(pid, 0)[1] == 0

client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
twin = socket.socket(fileno=os.dup(client.fileno()))
assert twin.getsockname() == client.getsockname()
client.close()
content = os.urandom(3000000)
with open("content", "wb") as f:
    f.write(content)
got = bytearray()


def receive():
    while data := server.recv(65536):
        got.extend(data)


thread = threading.Thread(target=receive)
thread.start()
with open("content", "rb") as f:
    twin.sendfile(f)
twin.close()
thread.join()
assert got == content
print("all came over")
