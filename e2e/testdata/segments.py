"""segments PORT SIZE - receives datagrams of SIZE bytes and a shorter one, which ends a round, and
sends as many of them back at once, cut apart by UDP_SEGMENT."""
import socket, struct, sys

UDP_SEGMENT = 103
port, size = int(sys.argv[1]), int(sys.argv[2])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(('::', port))
print('bound', flush=True)
parts = []
while True:
    b, peer = s.recvfrom(65536)
    parts.append(b)
    if len(b) < size:
        whole = b''.join(parts)
        print(len(parts), 'came', flush=True)
        parts.clear()
        s.sendmsg([whole], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack('H', size))], 0, peer)
