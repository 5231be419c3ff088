"""A UDP server, and peers with and without a fixed address."""
import errno
import socket
import threading

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
address = server.getsockname()


def serve():
    while True:
        data, peer = server.recvfrom(2000)
        if data == b"end":
            return
        server.sendto(data.upper(), peer)


thread = threading.Thread(target=serve)
thread.start()
free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(100):
    free.sendto(b"free %d" % i, address)
    assert free.recvfrom(100) == (b"FREE %d" % i, address)
fixed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fixed.connect(address)
for i in range(100):
    fixed.send(b"fixed %d" % i)
    assert fixed.recv(100) == b"FIXED %d" % i
fixed.send(b"")
assert fixed.recv(100) == b""
fixed.send(b"a long one")
data, _, flags, peer = fixed.recvmsg(4)
assert data == b"A LO" and flags & socket.MSG_TRUNC and peer == address
free.sendto(b"end", address)
thread.join()
server.close()

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("127.0.0.1", 9))
    s.send(b"nobody is there")
    try:
        s.recvfrom(10)
    except ConnectionRefusedError as e:
        assert e.errno == errno.ECONNREFUSED
    else:
        raise SystemExit("a closed port answered")
print("echoed")
