"""reach - tries to get at the supervisor of this run and at its guard: through /proc,
through its descriptors, and by ptrace."""
import ctypes, errno, os, signal, socket, struct

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_ATTACH, SYS_pidfd_open, SYS_pidfd_getfd = 0x4206, 16, 434, 438


def seize(pid):
    return libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0


def parent(pid):
    with open(f'/proc/{pid}/stat') as f:
        return int(f.read().rsplit(')', 1)[1].split()[1])


def usock(pid):
    with open(f'/proc/{pid}/cmdline', 'rb') as f:
        return f.read().split(b'\0')


pid = os.getpid()
while usock(pid)[1:2] != [b'run']:
    pid = parent(pid)
supervisor = pid
guards = []
for p in filter(str.isdigit, os.listdir('/proc')):
    try:
        if parent(p) == supervisor and b'run-guard' in usock(p):
            guards.append(int(p))
    except OSError:
        pass  # it has ended
assert len(guards) == 1, guards

child = os.fork()
if child == 0:
    signal.pause()
if seize(child):
    print('the program can be traced', flush=True)
os.kill(child, 9)
os.waitpid(child, 0)

out = 0
for pid in [supervisor] + guards:
    reached = []
    threads = [f'task/{t}/' for t in os.listdir(f'/proc/{pid}/task')]
    for name in [t + f for t in [''] + threads for f in ('fd', 'fdinfo', 'mem', 'maps', 'environ', 'auxv', 'exe', 'root', 'cwd', 'ns/net')]:
        path = f'/proc/{pid}/{name}'
        for what in (lambda: os.listdir(path), lambda: os.readlink(path), lambda: open(path, 'rb').read(1), lambda: open(path, 'r+b')):
            try:
                what()
                reached.append(name)
            except OSError as e:
                if e.errno not in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EINVAL, errno.EISDIR):
                    reached.append(f'{name}: {e}')
    one = struct.pack('PN', ctypes.addressof(ctypes.create_string_buffer(1)), 1)
    for call in 'process_vm_readv', 'process_vm_writev':
        if getattr(libc, call)(pid, one, ctypes.c_ulong(1), struct.pack('PN', 4096, 1), ctypes.c_ulong(1), ctypes.c_ulong(0)) >= 0 \
                or ctypes.get_errno() != errno.EPERM:
            reached.append(call)
    for fd in range(64):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(f'/proc/{pid}/fd/{fd}')
            reached.append(f'descriptor {fd}')
        except OSError:
            pass
        s.close()
    for tid in os.listdir(f'/proc/{pid}/task'):
        for request in PTRACE_SEIZE, PTRACE_ATTACH:
            if libc.ptrace(request, int(tid), None, None) == 0:
                reached.append('ptrace')
    p = libc.syscall(SYS_pidfd_open, pid, 0)
    if any(libc.syscall(SYS_pidfd_getfd, p, fd, 0) >= 0 for fd in range(64)):
        reached.append('pidfd_getfd')
    if reached:
        print('reached', pid, reached)
    else:
        out += 1
print('out of reach:', out, flush=True)
