# What a program does with SCTP's sockets of either style. Each line that is printed is asked for by the test.
import ctypes
import os
import select
import socket
import struct

SCTP, EVENTS, GET_ASSOC_NUMBER, RECVRCVINFO, PEELOFF = 132, 11, 28, 32, 102
MSG_EOR, MSG_NOTIFICATION = 0x80, 0x8000


def sctp(kind):
    return socket.socket(socket.AF_INET, kind, SCTP)


def listening(kind):
    s = sctp(kind)
    s.bind(('127.0.0.1', 0))
    s.listen(5)
    return s


def readable(s, patience=0):
    return select.select([s], [], [], patience)[0] == [s]


def fails(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return os.strerror(e.errno)


def one_to_one():
    l = listening(socket.SOCK_STREAM)
    print('nobody waits:', readable(l))
    c = sctp(socket.SOCK_STREAM)
    c.connect(l.getsockname())
    print('somebody waits:', readable(l, 5))
    s, peer = l.accept()
    print('names agree:', peer == c.getsockname(), c.getpeername() == s.getsockname())
    print('nobody waits any more:', readable(l))

    c.send(b'send')
    os.write(c.fileno(), b'write')
    print('whole:', s.recv(100), os.read(s.fileno(), 100))
    c.send(b'abcdef')
    c.send(b'next')
    for room in 4, 4, 100:
        data, _, flags, _ = s.recvmsg(room)
        print('in parts:', data, flags & MSG_EOR != 0)

    big = bytes(range(256)) * 400
    print('a large one:', c.send(big) == len(big), s.recv(1 << 20, socket.MSG_WAITALL)[:100] == big[:100])
    c.shutdown(socket.SHUT_WR)
    while s.recv(1 << 20):
        pass
    print('the end was told')
    print('refused:', fails(sctp(socket.SOCK_STREAM).connect, ('127.0.0.1', 9)))
    print('a dead listener:', fails(c.accept))


def associations(s):
    return struct.unpack('=i', s.getsockopt(SCTP, GET_ASSOC_NUMBER, 4))[0]


# peeled is sctp_peeloff(3), by the option that it is made of. Python has no getsockopt that hands over what
# its buffer holds.
def peeled(s, assoc):
    libc = ctypes.CDLL(None, use_errno=True)
    value, size = ctypes.create_string_buffer(assoc + bytes(4), 8), ctypes.c_uint(8)
    n = libc.getsockopt(s.fileno(), SCTP, PEELOFF, value, ctypes.byref(size))
    if n < 0:
        raise OSError(ctypes.get_errno(), '')
    if struct.unpack('=i', value.raw[4:])[0] != n:
        raise ValueError('another descriptor is in the structure')
    return n


def one_to_many():
    l = listening(socket.SOCK_SEQPACKET)
    l.setsockopt(SCTP, RECVRCVINFO, 1)
    l.setsockopt(SCTP, EVENTS, bytes([0, 1]))
    a, b = sctp(socket.SOCK_SEQPACKET), sctp(socket.SOCK_SEQPACKET)
    ids = {}
    for c, text in (a, b'from a'), (b, b'from b'):
        c.sendto(text, l.getsockname())
        print('polled:', readable(l, 5))
        note, _, flags, _ = l.recvmsg(200, 200)
        kind, _, length, state = struct.unpack('=HHIH', note[:10])
        print('notification:', hex(kind), length == len(note), state, flags & MSG_NOTIFICATION != 0)
        data, control, _, peer = l.recvmsg(200, 200)
        level, typ, info = control[0]
        ids[data] = info[-4:]
        print('message:', data, level, typ, peer == c.getsockname() or peer[1])
        l.sendto(b'to ' + text[-1:], peer)
    print('answers:', a.recv(100), b.recv(100))
    print('two associations:', associations(l))

    p = socket.socket(fileno=peeled(l, ids[b'from a']))
    print('one of them is peeled off:', associations(l), p.getpeername() == ('127.0.0.1', a.getsockname()[1]))
    a.sendto(b'to the peeled', l.getsockname())
    print('it hears:', p.recv(100))
    print('an association that there is not:', fails(peeled, l, ids[b'from a']))


one_to_one()
one_to_many()
