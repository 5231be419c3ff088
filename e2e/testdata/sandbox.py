"""sandbox - what a program finds that confines itself with Landlock, or with a filter
of its own: sandbox.py rules|files|filter ACTION."""
import ctypes, errno, os, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
CREATE_RULESET, RESTRICT_SELF = 444, 446
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
READ_FILE = 1 << 2
made = []


def ruleset(*words, size=None, flags=0):
    attr = struct.pack(f'{len(words)}Q', *words)
    fd = libc.syscall(CREATE_RULESET, attr if words else None, ctypes.c_size_t(len(attr) if size is None else size), flags)
    if fd >= 0 and not flags:
        made.append(fd)
        return 'made'
    return fd if fd >= 0 else errno.errorcode[ctypes.get_errno()]


def outcome(f):
    try:
        f()
        return 'ok'
    except OSError as e:
        return errno.errorcode[e.errno]


def exchange():
    with socket.create_server(('127.0.0.1', 0)) as ls, socket.create_connection(ls.getsockname()) as c:
        c.sendall(b'x')
        assert ls.accept()[0].recv(1) == b'x'


def rules():
    print('ABI:', ruleset(size=0, flags=1))
    print('files:', ruleset(READ_FILE), 'and zeros:', ruleset(READ_FILE, 0, 0))
    print('connect:', ruleset(READ_FILE, 2))
    print('bind:', ruleset(0, 1))
    print('scopes:', ruleset(READ_FILE, 0, 1))
    print('none:', ruleset(0))
    print('a right on files of later:', ruleset(1 << 15))
    print('too short:', ruleset(READ_FILE, size=4))
    print('too long:', ruleset(READ_FILE, size=4097))
    print('no memory:', ruleset(size=8))


def files():
    exchange()  # for which Python has read files
    assert ruleset(READ_FILE) == 'made'
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.syscall(RESTRICT_SELF, made[0], 0) == 0
    print('a file:', outcome(lambda: open('/etc/passwd')))
    print('a connection:', outcome(exchange))


def filter():
    """Denies socket(AF_INET, ...), as a sandbox does, and lets AF_INET6 be."""
    action = {'errno': 0x00050000 | errno.EACCES, 'trap': 0x00030000, 'kill': 0x80000000}[sys.argv[2]]
    nr = {'x86_64': 41, 'aarch64': 198}[os.uname().machine]
    code = [(0x20, 0, 0, 0), (0x15, 0, 3, nr), (0x20, 0, 0, 16), (0x15, 0, 1, socket.AF_INET),
            (6, 0, 0, action), (6, 0, 0, 0x7fff0000)]
    prog = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *c) for c in code))
    fprog = struct.pack('HxxxxxxP', len(code), ctypes.addressof(prog))
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0) == 0
    print('IPv4:', outcome(exchange))
    print('IPv6:', outcome(lambda: socket.socket(socket.AF_INET6).close()))


{'rules': rules, 'files': files, 'filter': filter}[sys.argv[1]]()
