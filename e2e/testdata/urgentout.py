"""urgentout server PORT - waits for a client, sends it an urgent byte and receives one.
urgentout client HOST PORT - does that to the server, and prints what it saw and what the server did."""
import errno, fcntl, os, select, signal, socket, struct, sys, time

SIOCATMARK = 0x8905


def at_mark(s):
    b = bytearray(4)
    fcntl.ioctl(s, SIOCATMARK, b)
    return struct.unpack('i', b)[0]


def upto(s, ok):
    """What comes until ok, or the end."""
    got = b''
    while not ok():
        b = s.recv(1)
        if not b:
            break
        got += b
    return got


def receive(s):
    """What is seen of the other's bytes."""
    p = select.poll()
    p.register(s, select.POLLPRI)
    seen = ['PRI' if p.poll(20000) and p.poll(0)[0][1] & select.POLLPRI else 'nothing urgent']
    before = upto(s, lambda: at_mark(s))
    seen += [len(before), before[-6:], s.recv(1, socket.MSG_OOB), at_mark(s)]
    try:
        s.recv(1, socket.MSG_OOB)
    except OSError as e:
        seen.append(errno.errorcode[e.errno])
    return seen


def send(s):
    for b, flags in (b'before' * 20, 0), (b'!', socket.MSG_OOB), (b'after', 0):
        s.sendall(b, flags)


if sys.argv[1] == 'server':
    listener = socket.create_server(('::', int(sys.argv[2])), family=socket.AF_INET6, dualstack_ipv6=True)
    signals = []
    signal.signal(signal.SIGURG, lambda *_: signals.append('SIGURG'))
    while True:
        c, _ = listener.accept()
        fcntl.fcntl(c, fcntl.F_SETOWN, os.getpid())
        c.sendall(b'.')  # from now on a signal comes
        saw = receive(c) + [c.recv(5, socket.MSG_WAITALL), signals]
        send(c)
        c.sendall(repr(saw).encode())
        c.close()
        signals.clear()
end = time.monotonic() + 20
while True:
    try:
        s = socket.create_connection((sys.argv[2], int(sys.argv[3])))
        break
    except ConnectionRefusedError:  # it does not listen yet
        if time.monotonic() > end:
            raise
        time.sleep(0.01)
s.recv(1)
send(s)
print('client', receive(s), s.recv(5, socket.MSG_WAITALL))
print('server', upto(s, lambda: False).decode())
