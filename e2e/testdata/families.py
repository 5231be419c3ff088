"""families - makes sockets of all families that are neither the Internet's nor stay the
kernel's, and prints what does not fail with EAFNOSUPPORT."""
import ctypes, errno, os, socket

libc = ctypes.CDLL(None, use_errno=True)
SYS_io_uring_setup = 425
kernels = {1, 15, 16, 29, 31, 38, 39}


def call(f, *args):
    return 0 if f(*args) >= 0 else ctypes.get_errno()


# What -v must have named is asked for first: the rest may be more than is read in time.
for family, type in (17, 3), (40, 1), (44, 3):
    call(libc.socket, family, type, 0)
fds = (ctypes.c_int * 2)()
for family in set(range(64)) - {2, 10} - kernels:
    for type in 1, 2, 3, 4, 5, 10:
        for e in call(libc.socket, family, type, 0), call(libc.socketpair, family, type, 0, fds):
            if e != errno.EAFNOSUPPORT:
                print(family, type, errno.errorcode.get(e, e))
print('AF_INET:', errno.errorcode[call(libc.socketpair, 2, 1, 0, fds)])
print('AF_UNIX:', call(libc.socketpair, 1, 1, 0, fds), call(libc.socket, 1, 1, 0))
print('io_uring:', errno.errorcode[call(libc.syscall, SYS_io_uring_setup, 1, None)])
