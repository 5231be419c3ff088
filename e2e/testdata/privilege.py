"""privilege - asks for what takes capabilities: privilege.py HOW. First as it was started, and then
setuid: after setuid(2) to another user; capset: without each capability in turn, and with each alone;
userns: in a user namespace of its own, where it has all; thread: in a thread that has given them up, while
another has them."""
import ctypes, errno, os, socket, struct, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
CAPS = {'SETGID': 6, 'SETUID': 7, 'NET_BIND_SERVICE': 10, 'NET_ADMIN': 12, 'NET_RAW': 13, 'SYS_ADMIN': 21}
VERSION_3 = 0x20080522
CLONE_NEWUSER = 0x10000000
SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_MARK, SO_PRIORITY, SO_DEBUG, SO_TXTIME, SO_PREFER_BUSY_POLL = 32, 33, 36, 12, 1, 61, 69
SO_BINDTOIFINDEX, SO_BUSY_POLL_BUDGET = 62, 70
CLOCK_TAI, CLOCK_MONOTONIC = 11, 1


def outcome(f):
    try:
        f()
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]


def check(v):
    if v < 0:
        raise OSError(ctypes.get_errno(), '')


def capset(keep):
    """Leaves the calling thread those of its capabilities that keep says."""
    header, data = struct.pack('Ii', VERSION_3, 0), ctypes.create_string_buffer(24)
    check(libc.capget(header, data))
    e0, p0, i0, e1, p1, i1 = struct.unpack('6I', data.raw)
    mask = sum(1 << n for n in CAPS.values() if not keep(n))
    check(libc.capset(header, struct.pack('6I', e0 & ~mask, p0, i0, e1, p1, i1)))


def option(type, level, name, *values):
    with socket.socket(socket.AF_INET, type) as s:
        for v in values:
            s.setsockopt(level, name, v)


def sends(name, value):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendmsg([b'x'], [(socket.SOL_SOCKET, name, struct.pack('I', value))], 0, ('127.0.0.1', 9))


def binds(type, port, family=socket.AF_INET):
    with socket.socket(family, type) as s:
        s.bind(('127.0.0.1' if family == socket.AF_INET else '::1', port))


def raw(family, protocol): socket.socket(family, socket.SOCK_RAW, protocol).close()


def label(linger):
    """Leases a flow label for a time (struct in6_flowlabel_req)."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IPV6, 32, struct.pack('16sIBBHHHI', b'\0' * 15 + b'\1', 0, 0, 1, 1, 0, linger, 0))


STREAM, DGRAM, SOL = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOL_SOCKET
asks = {
    'raw': lambda: raw(socket.AF_INET, 1),
    'raw IPv6': lambda: raw(socket.AF_INET6, 58),
    'TCP port 80': lambda: binds(STREAM, 80),
    'UDP port 1023': lambda: binds(DGRAM, 1023),
    'IPv6 port 443': lambda: binds(STREAM, 443, socket.AF_INET6),
    'port 1024': lambda: binds(STREAM, 1024),
    'SO_SNDBUFFORCE': lambda: option(STREAM, SOL, SO_SNDBUFFORCE, 1 << 22),
    'SO_RCVBUFFORCE': lambda: option(DGRAM, SOL, SO_RCVBUFFORCE, 1 << 22),
    'SO_MARK': lambda: option(STREAM, SOL, SO_MARK, 1),
    'SO_PRIORITY 6': lambda: option(DGRAM, SOL, SO_PRIORITY, 6),
    'SO_PRIORITY 7': lambda: option(DGRAM, SOL, SO_PRIORITY, 7),
    'SO_DEBUG': lambda: option(STREAM, SOL, SO_DEBUG, 1),
    'SO_DEBUG 0': lambda: option(STREAM, SOL, SO_DEBUG, 0),
    'SO_TXTIME': lambda: option(DGRAM, SOL, SO_TXTIME, struct.pack('iI', CLOCK_TAI, 0)),
    'SO_TXTIME monotonic': lambda: option(DGRAM, SOL, SO_TXTIME, struct.pack('iI', CLOCK_MONOTONIC, 0)),
    'SO_PREFER_BUSY_POLL': lambda: option(DGRAM, SOL, SO_PREFER_BUSY_POLL, 1),
    'SO_BUSY_POLL_BUDGET': lambda: option(DGRAM, SOL, SO_BUSY_POLL_BUDGET, 9),
    'SO_BINDTODEVICE': lambda: option(DGRAM, SOL, socket.SO_BINDTODEVICE, b'lo\0'),
    'SO_BINDTODEVICE again': lambda: option(DGRAM, SOL, socket.SO_BINDTODEVICE, b'lo\0', b'\0'),
    'SO_BINDTOIFINDEX again': lambda: option(STREAM, SOL, SO_BINDTOIFINDEX, 1, 0),
    'message SO_MARK': lambda: sends(SO_MARK, 5),
    'message SO_PRIORITY 6': lambda: sends(SO_PRIORITY, 6),
    'message SO_PRIORITY 7': lambda: sends(SO_PRIORITY, 7),
    'flow label': lambda: label(100),
    'flow label for long': lambda: label(200),
}
with open('/proc/sys/net/ipv4/ip_unprivileged_port_start') as f:
    if int(f.read()) != 1024:  # a container's network, perhaps; usock's is 1024
        for name in [n for n in asks if ' port ' in n]:
            del asks[name]
# Of a socket that was made with all capabilities.
early = socket.socket()
early_raw = None


def all(title):
    print('--', title)
    for name, ask in asks.items():
        print(name + ':', outcome(ask))
    print('early socket, SO_MARK:', outcome(lambda: early.setsockopt(SOL, SO_MARK, 3)), flush=True)
    if early_raw:
        print('early raw socket:', outcome(lambda: early_raw.sendto(b'x' * 8, ('127.0.0.1', 0))), flush=True)


def child(title, f):
    if (pid := os.fork()) == 0:
        try:
            f()
            all(title)
        except BaseException as e:
            print(title, 'failed:', repr(e), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


how = sys.argv[1]
all('at the start')
if how != 'userns':
    early_raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
if how == 'setuid':
    child('setuid', lambda: (os.setgid(65534), os.setuid(65534)))
elif how == 'capset':
    for name, n in CAPS.items():
        child('without ' + name, lambda: capset(lambda m: m != n))
    for name, n in CAPS.items():
        child('only ' + name, lambda: capset(lambda m: m == n))
elif how == 'userns':
    child('user namespace', lambda: check(libc.unshare(CLONE_NEWUSER)))
elif how == 'thread':
    def f():
        capset(lambda n: False)
        all('the thread')
    t = threading.Thread(target=f)
    t.start()
    t.join()
    all('the other')
