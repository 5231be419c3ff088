# What a program sees of the ends of SCTP sockets: poll masks, messages in pieces, errors, ends, signals and
# what others do to a socket. It says the same on Linux and under usock run.
import ctypes
import errno
import os
import select
import signal
import socket
import struct
import threading
import time

SCTP, RECVRCVINFO, SNDINFO = 132, 32, 2
lib = ctypes.CDLL('libsctp.so.1', use_errno=True)


def sctp(style=socket.SOCK_STREAM):
    return socket.socket(socket.AF_INET, style, SCTP)


def listener(style=socket.SOCK_STREAM, backlog=5):
    s = sctp(style)
    s.bind(('127.0.0.1', 0))
    s.listen(backlog)
    return s


def pair():
    with listener() as l:
        c = sctp()
        c.connect(l.getsockname())
        return c, l.accept()[0]


def mask(s):
    p = select.poll()
    p.register(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP | select.POLLPRI)
    got = p.poll(0)
    return got[0][1] if got else 0


# shows waits until poll shows all of the events, and none of the others.
def shows(s, events, others=0):
    end = time.time() + 10
    while mask(s) & (events | others) != events:
        if time.time() > end:
            return 'poll shows %#x and not %#x' % (mask(s), events)
        time.sleep(0.002)
    return True


IN, OUT, ERR, HUP, RDHUP = select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP, select.POLLRDHUP


def of(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, e)


def eor(got):
    return got[0], got[2] & socket.MSG_EOR != 0


def masks():
    with listener() as l, sctp() as c:
        print('a listener:', mask(l))
        c.connect(l.getsockname())
        print('one waits:', shows(l, IN))
        s, _ = l.accept()
        print('none waits:', mask(l), 'writable:', shows(s, OUT, IN))
        c.send(b'x')
        print('readable:', shows(s, IN | OUT, RDHUP | HUP))
        print('read:', s.recv(10), shows(s, OUT, IN))
        e = select.epoll()
        e.register(l, select.EPOLLIN | select.EPOLLET)
        more = [sctp(), sctp()]
        for m in more:
            m.connect(l.getsockname())
            print('an edge for each:', len(e.poll(5)))
        for m in more:
            l.accept()[0].close()
        l.setblocking(False)
        print('no more:', of(l.accept), mask(l))


def pieces():
    c, s = pair()
    s.setsockopt(SCTP, RECVRCVINFO, 1)
    c.sendmsg([b'0123456', b'789'], [(SCTP, SNDINFO, struct.pack('=HHIIi', 5, 0, socket.htonl(77), 9, 0))])
    c.send(b'abc')
    for room in 4, 4, 4, 3:
        got = s.recvmsg(room, 200)
        sid, ssn, _, ppid = struct.unpack_from('=HHHxxI', got[1][0][2])
        print('a piece:', eor(got), sid, socket.ntohl(ppid))
        if ssn == 0 and room == 4 and not eor(got)[1]:
            print('the rest is to be read:', shows(s, IN))
    c.send(b'peek')
    print('looked at:', eor(s.recvmsg(4, 0, socket.MSG_PEEK)), eor(s.recvmsg(2, 0, socket.MSG_PEEK)), eor(s.recvmsg(4)))
    c.send(b'0123456789')
    print('from:', s.recvfrom(3)[0], os.read(s.fileno(), 100))
    print('sent to:', c.sendto(b'x', c.getpeername()), s.recv(10))
    c.setblocking(False)
    s.setblocking(False)
    print('none:', of(s.recv, 1), of(s.recvmsg, 1), of(s.recvmsg, 1, 0, socket.MSG_PEEK))
    print('empty:', of(c.sendmsg, [b'']))


def whole(size, sndbuf):
    c, s = pair()
    if sndbuf:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    for send in c.send, lambda b: c.sendmsg([b]), lambda b: os.write(c.fileno(), b):
        big = os.urandom(size)
        t = threading.Thread(target=send, args=(big,))
        t.start()
        got, n = b'', 0
        while not n & socket.MSG_EOR:
            part, _, n, _ = s.recvmsg(1 << 20)
            got += part
        t.join()
        print('large:', got == big)


def full():
    c, s = pair()
    print('too large:', of(c.send, b'x' * 300000), of(c.sendmsg, [b'x' * 300000]))
    c.setblocking(False)
    sent = quiet = 0
    while quiet < 150:  # what is sent goes on for a while to where there is room
        if of(c.send, struct.pack('=I', sent) * 500) == 2000:
            sent, quiet = sent + 1, 0
        else:
            quiet = 0 if mask(c) & OUT else quiet + 1
            time.sleep(0.002)
    print('full:', shows(c, 0, OUT), of(c.sendmsg, [b'x']))
    got = 0
    while got < sent:
        b, _, flags, _ = s.recvmsg(4000)
        if b != struct.pack('=I', got) * 500 or not flags & socket.MSG_EOR:
            print('message', got, 'is', len(b), b[:8])
        got += 1
    print('all were whole, and there is room:', shows(c, OUT, IN))
    # A sender that waits for a reader who has stopped.
    c.setblocking(True)
    t = threading.Thread(target=lambda: [c.send(b'y' * 2000) for i in range(sent + 50)])
    t.start()
    for i in range(sent + 50):
        if s.recv(4000) != b'y' * 2000:
            print('not whole')
    t.join()
    print('the sender went on')


def ends():
    c, s = pair()
    c.send(b'last')
    c.close()
    print('closed:', shows(s, IN | RDHUP), s.recv(10), s.recv(10), s.recv(10), of(s.sendmsg, [b'x']))
    c, s = pair()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('=ii', 1, 0))
    c.close()
    print('aborted:', shows(s, ERR), of(s.recv, 10), of(s.sendmsg, [b'x']))
    c, s = pair()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('=ii', 1, 0))
    c.close()
    shows(s, ERR)
    print('SO_ERROR:', s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET, s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    c, s = pair()
    s.send(b'unread')
    shows(c, IN)
    c.close()
    print('left unread:', shows(s, ERR), of(s.recvmsg, 10))
    c, s = pair()
    c.shutdown(socket.SHUT_WR)
    print('shut down:', of(c.send, b'x'), of(c.sendmsg, [b'x']) in ('EPIPE', 'ESHUTDOWN'), shows(s, IN | RDHUP), s.recv(10))


def connects():
    c = sctp()
    dead = listener()
    nobody = dead.getsockname()
    dead.close()
    print('refused:', of(c.connect, nobody), of(c.connect, nobody))
    with listener() as l:
        print('and made:', of(c.connect, l.getsockname()), of(c.connect, l.getsockname()), l.accept()[1] == c.getsockname())
        c.close()
        c = sctp()
        c.setblocking(False)
        print('without waiting:', errno.errorcode[c.connect_ex(nobody)], shows(c, ERR))
        print('its outcome:', errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
        print('once more:', errno.errorcode[c.connect_ex(l.getsockname())], shows(c, OUT, ERR), c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        s, _ = l.accept()
        c.send(b'hello')
        print(s.recv(10))


def shared():
    c, s = pair()
    pid = os.fork()
    if pid == 0:
        c.send(b'of the child')
        s.recvmsg(3)
        os._exit(0)
    os.waitpid(pid, 0)
    print('what a child has left:', s.recvmsg(100)[0])
    d = os.dup(c.fileno())
    c.close()
    os.write(d, b'by a duplicate')
    print(s.recv(100))
    pid = os.fork()
    if pid == 0:
        signal.pause()
    os.close(d)
    s.settimeout(0.05)
    print('it is held:', waits(s))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    s.settimeout(10)
    print('and let go of:', s.recv(10))


def waits(s):
    try:
        return s.recv(10)
    except TimeoutError:
        return 'nothing came'


class Rang(Exception):
    pass


def rings(*args):
    raise Rang


def signals():
    c, s = pair()
    l = listener()
    signal.signal(signal.SIGALRM, rings)
    for what, f in (('recv', lambda: s.recv(1)), ('recvmsg', lambda: s.recvmsg(1)), ('accept', l.accept)):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            f()
        except Rang:
            print(what, 'was interrupted')
    signal.signal(signal.SIGALRM, lambda *args: c.send(b'by the handler'))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    print('restarted:', s.recvmsg(100)[0])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    got = []
    t = threading.Thread(target=lambda: got.append(s.recvmsg(100)[0]))
    t.start()
    c.send(b'to a thread')
    t.join()
    print(got)


def many():
    m = listener(socket.SOCK_SEQPACKET)
    print('nobody to send to:', of(m.sendmsg, [b'x']), mask(m))
    c = [sctp(socket.SOCK_SEQPACKET) for i in range(20)]
    for i, x in enumerate(c):
        x.sendto(b'from %d' % i, m.getsockname())
    for i in range(len(c)):
        b, _, flags, peer = m.recvmsg(100)
        m.sendto(b'to' + b[4:], peer)
    print('answers:', [x.recv(100) for x in c] == [b'to %d' % i for i in range(len(c))])
    c[0].sendto(b'0123456789', m.getsockname())
    print('a piece:', eor(m.recvmsg(4)), eor(m.recvmsg(10)))


class Addr(ctypes.Structure):
    _fields_ = [('family', ctypes.c_ushort), ('port', ctypes.c_ushort), ('ip', ctypes.c_ubyte * 4), ('zero', ctypes.c_ubyte * 8)]


def packed(*addrs):
    return (Addr * len(addrs))(*[Addr(socket.AF_INET, socket.htons(p), (ctypes.c_ubyte * 4)(*socket.inet_aton(h))) for h, p in addrs])


# version is a version of sctp_connectx(3): each makes another call.
def version(n):
    libc = ctypes.CDLL(None)
    libc.dlvsym.restype = ctypes.c_void_p
    libc.dlvsym.argtypes = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p
    f = libc.dlvsym(lib._handle, b'sctp_connectx', b'VERS_%d' % n)
    args = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    return ctypes.CFUNCTYPE(ctypes.c_int, *args, *[ctypes.POINTER(ctypes.c_int)] * (n > 1), use_errno=True)(f)


def library():
    with listener(backlog=50) as l:
        port = l.getsockname()[1]
        for n in 1, 2, 3:
            for style in socket.SOCK_STREAM, socket.SOCK_SEQPACKET:
                for blocks in True, False:
                    c = sctp(style)
                    c.setblocking(blocks)
                    number = ctypes.c_int()
                    args = [ctypes.byref(number)] if n > 1 else []
                    r = version(n)(c.fileno(), packed(('127.0.0.1', port)), 1, *args)
                    print('sctp_connectx', n, r, r < 0 and errno.errorcode[ctypes.get_errno()], number.value != 0)
    b = sctp()
    b.bind(('127.0.0.1', 0))
    print('sctp_bindx', lib.sctp_bindx(b.fileno(), packed(('127.0.0.2', b.getsockname()[1])), 1, 1))
    b.listen(1)
    found = ctypes.POINTER(Addr)()
    n = lib.sctp_getladdrs(b.fileno(), 0, ctypes.byref(found))
    print('sctp_getladdrs', sorted(bytes(found[i].ip)[3] for i in range(n)))
    lib.sctp_freeladdrs(found)


# lingers has close wait for what was sent (SO_LINGER), and not wait where it is not to.
def lingers():
    def linger(s, secs):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('=ii', 1, secs))

    def fill(s):
        s.setblocking(False)
        try:
            while True:
                s.send(bytes(8192))
        except BlockingIOError:
            s.setblocking(True)

    def took(f):
        begin = time.monotonic()
        f()
        return time.monotonic() - begin

    def filled(secs):
        c, s = pair()
        linger(c, secs)
        fill(c)
        return c, s

    c, s = filled(20)
    d = c.dup()
    print('not the last:', took(c.close) < 15)
    linger(d, 1)
    print('its time:', 0.9 < took(d.close) < 5)

    c, s = filled(20)
    t = threading.Thread(target=lambda: list(iter(lambda: s.recv(65536), b'')))
    t.start()
    print('until it is read:', took(c.close) < 15)
    t.join()

    c, s = filled(20)
    old = signal.signal(signal.SIGALRM, lambda *args: print('a signal'))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    print('ends it:', 0.05 < took(c.close) < 15)
    signal.signal(signal.SIGALRM, old)

    # What a listener has is its connections', and an exit does not wait, nor have others wait.
    with listener() as l, socket.create_server(('127.0.0.1', 0)) as t:
        for server, client in (l, sctp()), (t, socket.socket()):
            linger(server, 20)
            client.connect(server.getsockname())
            s, _ = server.accept()
            child = os.fork()
            if child == 0:
                fill(s)
                os._exit(0)
            s.close()
            print('an exit:', took(lambda: os.waitpid(child, 0)) < 10)
            client.recv(1)
            print('others:', took(lambda: sctp().bind(('127.0.0.1', 0))) < 10)
    c, s = filled(20)
    linger(c, 0)
    c.close()
    print('no time:', of(lambda: [s.recv(65536) for i in range(1000)]))


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


# moves has bytes moved by other calls than receives and sends.
def moves():
    libc = ctypes.CDLL(None, use_errno=True)

    def version2(name, s, n, position=-1, flags=0):
        b = ctypes.create_string_buffer(b'q' * n, n)
        at = ctypes.addressof(b)
        f = getattr(libc, name)
        f.restype, f.argtypes = ctypes.c_ssize_t, [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_int]
        r = f(s.fileno(), (Iovec * 2)((at, n // 2), (at + n // 2, n - n // 2)), 2, position, flags)
        return b.raw[:r] if r >= 0 else errno.errorcode[ctypes.get_errno()]

    def spliced(s):
        r, w = os.pipe()
        os.write(w, b'piped')
        try:
            return of(os.splice, r, s.fileno(), 5)
        finally:
            os.close(r)
            os.close(w)

    old = signal.signal(signal.SIGPIPE, lambda *args: print('SIGPIPE'))
    with open(__file__, 'rb') as file:
        def all(s):
            return version2('pwritev2', s, 10), of(os.sendfile, s.fileno(), file.fileno(), 0, 30), spliced(s)
        c, s = pair()
        print('connected:', all(c), [len(s.recv(100)) for i in range(3)])
        c.send(b'0123456789')
        print('pieces:', version2('preadv2', s, 4), version2('preadv2', s, 40))
        c.send(b'0123456789')
        print('appended:', version2('preadv2', s, 4, -1, os.RWF_APPEND), version2('pwritev2', s, 4, -1, os.RWF_APPEND), len(s.recv(100)), c.recv(100))
        print('a position:', version2('preadv2', s, 4, 0), version2('pwritev2', c, 4, 0))
        print('an unknown flag:', version2('preadv2', s, 4, -1, 1 << 20), version2('pwritev2', c, 4, -1, 1 << 20))
        s.shutdown(socket.SHUT_WR)
        c.recv(1)
        print('after the end:', all(s))
        print('before a beginning:', all(sctp()), all(sctp(socket.SOCK_SEQPACKET)))
    signal.signal(signal.SIGPIPE, old)


for part in masks, pieces, lambda: whole(200000, 0), lambda: whole(400000, 212992), full, ends, connects, shared, signals, lingers, moves, many, library:
    part()
    print(flush=True)
