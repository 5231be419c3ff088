"""whose PORT - answers each stream and datagram at a port, of both families, with the address and
port that it came from."""
import selectors, socket, sys

port, ready = int(sys.argv[1]), selectors.DefaultSelector()
for family, host in (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::'):
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        s = socket.socket(family, kind)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((host, port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        ready.register(s, selectors.EVENT_READ)
print('ready', flush=True)
while True:
    for key, _ in ready.select():
        s = key.fileobj
        if s.type == socket.SOCK_STREAM:
            c, peer = s.accept()
            c.sendall(b'%s %d' % (peer[0].encode(), peer[1]))
            c.close()
        else:
            _, peer = s.recvfrom(100)
            s.sendto(b'%s %d' % (peer[0].encode(), peer[1]), peer)
