"""reach - tries to get at the supervisor of this run and at its guard: through /proc,
through its descriptors, and by ptrace."""
import ctypes, errno, os, signal, socket

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_DETACH, SYS_pidfd_open, SYS_pidfd_getfd = 0x4206, 17, 434, 438


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
    for what in (lambda: os.listdir(f'/proc/{pid}/fd'), lambda: open(f'/proc/{pid}/mem', 'rb'),
                 lambda: open(f'/proc/{pid}/environ').read(), lambda: os.readlink(f'/proc/{pid}/exe')):
        try:
            what()
            reached.append('proc')
        except OSError as e:
            assert e.errno in (errno.EACCES, errno.EPERM), e
    for fd in range(64):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(f'/proc/{pid}/fd/{fd}')
            reached.append(f'descriptor {fd}')
        except OSError:
            pass
        s.close()
    if seize(pid):
        reached.append('ptrace')
    p = libc.syscall(SYS_pidfd_open, pid, 0)
    if libc.syscall(SYS_pidfd_getfd, p, 1, 0) >= 0:
        reached.append('pidfd_getfd')
    if reached:
        print('reached', pid, reached)
    else:
        out += 1
print('out of reach:', out, flush=True)
