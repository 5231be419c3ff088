"""namespaces - sockets in network namespaces that the program makes or joins itself:
namespaces.py FLAGS, those of unshare(2)."""
import ctypes, errno, fcntl, os, signal, socket, struct, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SYS_clone = {'x86_64': 56, 'aarch64': 220}[os.uname().machine]
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
flags = CLONE_NEWNET | (CLONE_NEWUSER if 'user' in sys.argv[1] else 0)

ls = socket.create_server(('127.0.0.1', 0))
at = ls.getsockname()
original = os.open('/proc/self/ns/net', os.O_RDONLY)


def outcome(f):
    try:
        return f() or 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]


def check(v):
    if v < 0:
        raise OSError(ctypes.get_errno(), '')


def unshare(): check(libc.unshare(flags))
def setns(fd): check(libc.setns(fd, 0))


def connects(s=None):
    """What a connect to the address of the server outside leads to."""
    s = s or socket.socket()
    s.settimeout(5)

    def f():
        s.connect(at)
        s.sendall(b'hello\n')
        return s.recv(100).decode()
    return outcome(f)


def loopback():
    with socket.socket() as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack('16sh22x', b'lo', IFF_UP))


def serves(l, what):
    """Answers all that connects with what, on a thread."""
    def f():
        while True:
            c, _ = l.accept()
            c.recv(100)
            c.sendall(what)
            c.close()
    threading.Thread(target=f, daemon=True).start()


def child(title, f, clone=0):
    """Runs f in a child, perhaps one that is cloned into namespaces."""
    print(f'-- {title}', flush=True)
    pid = libc.syscall(SYS_clone, clone | signal.SIGCHLD, 0, 0, 0, 0) if clone else os.fork()
    if pid == 0:
        try:
            f()
        except BaseException as e:
            print('failed:', repr(e))
        sys.stdout.flush()
        os._exit(0)
    return pid


def inside():
    before = socket.socket()
    print('unshare:', outcome(unshare))
    print('loopback down:', connects())
    print('socket made before:', connects(before))
    loopback()
    print('loopback up:', connects())
    own = socket.create_server(at)
    serves(own, b'the inner server')
    print('own server:', connects())
    print('packets:', outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300).close()))
    print('back:', outcome(lambda: setns(original)), connects())


def cloned():
    print('loopback down:', connects())


def on_a_thread():
    def f():
        print('unshare:', outcome(unshare))
        print('this thread:', connects())
    t = threading.Thread(target=f)
    t.start()
    t.join()
    print('the other:', connects())


def joins():
    """Joins the namespaces of a child that serves there."""
    r, w = os.pipe()
    stays, ends = os.pipe()

    def inner():
        os.close(ends)
        unshare()
        loopback()
        serves(socket.create_server(at), b'the inner server')
        os.write(w, b'x')
        os.read(stays, 1)
    pid = os.fork()
    if pid == 0:
        inner()
        os._exit(0)
    os.read(r, 1)
    names = ['user', 'net'] if flags & CLONE_NEWUSER else ['net']
    for fd in [os.open(f'/proc/{pid}/ns/{n}', os.O_RDONLY) for n in names]:
        print('setns:', outcome(lambda: setns(fd)))
    print('in it:', connects())
    os.close(ends)
    os.waitpid(pid, 0)


cases = [('unshare', inside, 0), ('clone', cloned, flags), ('setns', joins, 0)]
if not flags & CLONE_NEWUSER:
    cases.append(('thread', on_a_thread, 0))
ls.settimeout(.02)
for title, f, clone in cases:
    pid = child(title, f, clone)
    # This process serves outside meanwhile, on no thread: it goes on to fork.
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        try:
            c, _ = ls.accept()
        except socket.timeout:
            continue
        c.settimeout(5)
        c.recv(100)
        c.sendall(b'the outer server')
        c.close()
