"""crowd - forks until it is refused; then traffic and signals go on all the same."""
import errno, os, signal, socket, sys

r, w = os.pipe()
kids = []
try:
    while len(kids) < 500:
        p = os.fork()
        if p == 0:
            os.close(w)
            os.read(r, 1)  # until the parent ends
            os._exit(0)
        kids.append(p)
    sys.exit('never refused')
except OSError as e:
    assert e.errno == errno.EAGAIN, e
print('refused', flush=True)


class Alarm(Exception):
    pass


def handler(*_):
    raise Alarm


signal.signal(signal.SIGALRM, handler)
l = socket.create_server(('127.0.0.1', 0))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
for _ in range(5):
    for wait in (l.accept, lambda: u.recvfrom(10)):
        signal.setitimer(signal.ITIMER_REAL, .03)
        try:
            wait()
            sys.exit('no signal')
        except Alarm:
            pass
    held = []
    for _ in range(40):
        c = socket.create_connection(l.getsockname())
        s, _ = l.accept()
        c.sendall(b'x' * 100000)
        n = 0
        while n < 100000:
            n += len(s.recv(65536))
        c.sendall(b'y')
        held.append((c, s))
    u.sendto(b'datagram', u.getsockname())
    assert u.recvfrom(10)[0] == b'datagram'
print('served', flush=True)
os.close(w)
for p in kids:
    os.waitpid(p, 0)
