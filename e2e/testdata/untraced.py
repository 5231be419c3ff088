"""untraced - a program that forbids tracing uses the kernel's sockets, and then, if it is
told to, the Internet's: untraced.py kernel|inet HOW. HOW is prctl, or exec for a file that
cannot be read."""
import array, ctypes, errno, fcntl, os, socket, struct, sys, tempfile

libc = ctypes.CDLL(None, use_errno=True)
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
SIOCGIFINDEX, SIOCOUTQ = 0x8933, 0x5411
d = tempfile.mkdtemp()
before = [socket.socket() for _ in range(3)]


def says(what, f, *args):
    try:
        r = f(*args)
        print(what + ':', 'ok' if r is None or isinstance(r, socket.socket) else r, flush=True)
        return r
    except OSError as e:
        print(what + ':', errno.errorcode[e.errno], flush=True)


def streams(title):
    print('--', title)
    path = d + '/' + title.replace(' ', '')
    l = socket.socket(socket.AF_UNIX)
    says('bind', l.bind, path)
    says('listen', l.listen, 3)
    says('name', lambda: l.getsockname() == path)
    c = socket.socket(socket.AF_UNIX)
    says('connect', c.connect, path)
    s = l.accept()[0]
    says('peer', lambda: c.getpeername() == path)
    says('credentials', lambda: struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] == os.getpid())
    r, w = os.pipe()
    says('pass', c.sendmsg, [b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w]))])
    data, control, _, _ = s.recvmsg(10, 100)
    os.write(array.array('i', control[0][2])[0], b'passed')
    says('passed', os.read, r, 10)
    says('buffer', lambda: s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000) or s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
    says('shutdown', c.shutdown, socket.SHUT_WR)
    says('end', s.recv, 10)
    says('nobody', socket.socket(socket.AF_UNIX).connect, d + '/none')


def datagrams():
    a, b = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    says('datagram', lambda: a.bind(d + '/a') or b.bind(d + '/b') or a.sendto(b'hello', d + '/b'))
    says('from', lambda: b.recvfrom(10)[1] == d + '/a')


def netlink():
    n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    says('netlink', n.bind, (0, 0))
    # RTM_GETLINK of the interface 1
    says('asks', n.sendto, struct.pack('IHHIIBBHiII', 32, 18, 1, 1, 0, 0, 0, 0, 1, 0, 0), (0, 0))
    says('answered', lambda: struct.unpack_from('IHHII', n.recvfrom(1 << 16)[0])[1])


def child(title, f):
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            f(title)
        except BaseException as e:
            print(title, 'failed:', repr(e), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


def reused(title):
    """The numbers of closed Internet sockets are those of the next ones."""
    numbers = [s.fileno() for s in before]
    for s in before:
        s.close()
    more = [socket.socket(socket.AF_UNIX) for _ in numbers]
    print('the same numbers:', sorted(s.fileno() for s in more) == sorted(numbers))
    for i, s in enumerate(more):
        says('bind', s.bind, f'{d}/{title}{i}')


def executed():
    """A program that a child executes has none of its parent's Internet sockets, whose
    numbers it uses for others."""
    code = f'''import ctypes, socket
ctypes.CDLL(None).prctl({PR_SET_DUMPABLE}, 0, 0, 0, 0)
more = [socket.socket(socket.AF_UNIX) for _ in range(9)]
for i, s in enumerate(more): s.bind(f"{d}/executed{{i}}")
print("executed:", {{s.fileno() for s in more}} >= {{{", ".join(str(s.fileno()) for s in before)}}}, flush=True)
'''
    sys.stdout.flush()
    print('ended:', os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', code]))


def inet():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    says('interface', lambda: struct.unpack_from('16si', fcntl.ioctl(u, SIOCGIFINDEX, struct.pack('16si', b'lo', 0) + b'\0' * 20))[1])
    says('bind', u.bind, ('127.0.0.1', 0))
    s = socket.socket()
    says('listen', s.listen, 1)
    says('option', s.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    says('queue', lambda: fcntl.ioctl(u, SIOCOUTQ, b'\0' * 4)[0])
    child('child', lambda _: says('in a child: listen', s.listen, 1))


if sys.argv[2] == 'prctl':
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
print('dumpable:', libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
streams('itself')
datagrams()
netlink()
child('child', streams)
executed()
reused('reused')
if sys.argv[1] == 'inet':
    inet()
