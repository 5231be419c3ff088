# Makes SCTP sockets, and has ss(8) and netlink itself tell of them. It says the same on Linux and under usock run,
# but that Linux tells listeners with associations twice, the second time so that ss knows no state of them.
import os
import re
import socket
import struct
import subprocess

SCTP = 132


def sctp(family=socket.AF_INET, style=socket.SOCK_STREAM, at=None, backlog=None):
    s = socket.socket(family, style, SCTP)
    if at:
        s.bind(at)
    if backlog is not None:
        s.listen(backlog)
    return s


def said(*args):
    return subprocess.run(['ss', '-HOS', *args], check=True, capture_output=True, text=True).stdout


def ss(*args):
    lines = set()
    for line in said(*args).splitlines():
        line = re.sub(r'\b(p?tag):[0-9a-f]+', r'\1', line)
        line = re.sub(r'(ESTAB +)[1-9]\d*', r'\1some', line)  # Linux counts memory
        if '(null)' not in line:
            lines.add(' '.join(line.split()))
    print('ss', *args)
    print(*sorted(lines), sep='\n')


listener = sctp(at=('127.0.0.1', 5000), backlog=7)
a = sctp(at=('127.0.0.1', 6000))
a.connect(('127.0.0.1', 5000))
accepted = listener.accept()[0]
waiting = sctp(at=('127.0.0.1', 6001))
waiting.connect(('127.0.0.1', 5000))
many = sctp(socket.AF_INET6, socket.SOCK_SEQPACKET, ('::1', 5002), 5)
six = sctp(socket.AF_INET6, socket.SOCK_SEQPACKET, ('::1', 6002))
six.sendto(b'hello', ('::1', 5002))
many.recv(10)
unused = sctp(at=('127.0.0.1', 5003))
accepted.send(b'x' * 1000)
a.recv(10, socket.MSG_PEEK)
while 'unackdata' in said('-ni'):
    pass
for args in (['-an'], ['-n'], ['-ln'], ['-4an'], ['-6an'], ['-ani'], ['-an', 'sport', '=', ':6001'], ['-an', 'dst', '[::1]']):
    ss(*args)


def inode(s):
    return os.fstat(s.fileno()).st_ino


def ask(family, src, sport, dst, dport, flags=1, states=0xffffffff, cookie=(0xffffffff, 0xffffffff)):
    n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
    size = 16 if family == socket.AF_INET6 else 4
    pad = b'\0' * (16 - size)
    body = struct.pack('=BBBBI', family, SCTP, 2, 0, states) + struct.pack('!HH', sport, dport) + \
        socket.inet_pton(family, src) + pad + socket.inet_pton(family, dst) + pad + struct.pack('=III', 0, *cookie)
    n.send(struct.pack('=IHHII', 16 + len(body), 20, flags, 1, 0) + body)
    while True:
        b = n.recv(65536)
        while b:
            length, typ, _, _, _ = struct.unpack_from('=IHHII', b)
            if typ == 3:
                return 'done'
            if typ == 2:
                return struct.unpack_from('=i', b, 16)[0]
            told = b[16:length]
            state = told[1]
            attrs, at = {}, 72
            while at < len(told):
                l, t = struct.unpack_from('=HH', told, at)
                if t in (2, 8, 12, 13):
                    attrs[t] = l - 4
                at += l + 3 & ~3
            own = struct.unpack_from('=I', told, 68)[0] in map(inode, (listener, a, accepted, waiting, many, six))
            print('socket', told[0], state, struct.unpack_from('!HH', told, 4), own, sorted(attrs.items()))
            if not flags & 0x300:
                return 'one'
            b = b[length + 3 & ~3:]


print(ask(socket.AF_INET, '127.0.0.1', 6000, '127.0.0.1', 5000))
print(ask(socket.AF_INET6, '::1', 6002, '::1', 5002))
print(ask(socket.AF_INET, '127.0.0.1', 6000, '127.0.0.1', 5000, cookie=(7, 7)))
print(ask(socket.AF_INET, '127.0.0.1', 6009, '127.0.0.1', 5000))
print(ask(socket.AF_INET, '127.0.0.1', 5000, '0.0.0.0', 0))
print(ask(socket.AF_INET, '0.0.0.0', 6000, '0.0.0.0', 0, 0x301))
print(ask(socket.AF_INET, '0.0.0.0', 0, '0.0.0.0', 6001, 0x301))
print(ask(socket.AF_INET, '0.0.0.0', 5003, '0.0.0.0', 0, 0x301))
print(ask(socket.AF_INET, '0.0.0.0', 0, '0.0.0.0', 6000, 0x301, 1 << 7))
accepted.shutdown(socket.SHUT_RDWR)
a.close()
waiting.close()
while ':600' in said('-4an', 'sport', '!=', ':5000'):
    pass
ss('-an', 'sport', '!=', ':5000')
