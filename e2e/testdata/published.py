# A server whose connections each do what their first byte says, and prints what it saw:
#   r: the server resets   h: the server ends first, and then reads to the end
#   c: it says when it has read ten bytes more
#   anything else: it reads to the end or a reset
# With "udp": it answers each datagram with its sender's port.
import socket, struct, sys

host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
if len(sys.argv) > 3:
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((host, port))
    print("bound", flush=True)
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(b"%d %s" % (peer[1], data), peer)
s = socket.socket(family)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, port))
s.listen()
print("listening", flush=True)
while True:
    c, peer = s.accept()
    what = c.recv(1)
    saw = "the end"
    if what == b"r":
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        if what == b"h":
            c.sendall(b"first")
            c.shutdown(socket.SHUT_WR)
        n = 0
        try:
            while data := c.recv(65536):
                n += len(data)
                if what == b"c" and n == 10:
                    c.sendall(b"read")
        except OSError as e:
            saw = e.strerror
        saw = "%d bytes, %s" % (n, saw)
    print(what.decode(), saw, "from port", peer[1], flush=True)
    c.close()
