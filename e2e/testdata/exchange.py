"""exchange - TCP and UDP on the loopback, and a signal for a call that waits. Then all
of it once more in a program that takes this one's place."""
import os, signal, socket, sys

l = socket.create_server(('127.0.0.1', 0))
c = socket.create_connection(l.getsockname())
s, _ = l.accept()
c.sendall(b'x' * 100000)
c.shutdown(socket.SHUT_WR)
assert len(b''.join(iter(lambda: s.recv(65536), b''))) == 100000

u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.sendto(b'datagram', u.getsockname())
data, source = u.recvfrom(100)
assert data == b'datagram' and source[0] == '127.0.0.1', (data, source)
print('exchanged', flush=True)


class Alarm(Exception):
    pass


def handler(*_):
    raise Alarm


signal.signal(signal.SIGALRM, handler)
for wait in (lambda: u.recvfrom(100), l.accept):
    signal.setitimer(signal.ITIMER_REAL, .05)
    try:
        wait()
        sys.exit('no signal')
    except Alarm:
        pass
v.sendto(b'after', u.getsockname())
assert u.recvfrom(100)[0] == b'after'
print('interrupted', flush=True)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, __file__, 'again'])
