"""Connects again after a refusal, with an epoll registration that was made before the first
attempt: the program goes on to wait with it."""
import errno
import select
import socket

FLAGS = {"level": 0, "edge": select.EPOLLET, "once": select.EPOLLONESHOT}


def shown(p, s):
    return ["%s %#x" % ("s" if fd == s.fileno() else fd, ev) for fd, ev in p.poll(2)]


for name, flag in FLAGS.items():
    for early in (False, True):  # registered before the first attempt, or after it
        ls, s, p, q = socket.socket(), socket.socket(), select.epoll(), select.epoll()
        ls.bind(("127.0.0.1", 0))
        s.setblocking(False)
        # poll shows that an unconnected socket hangs up; that is taken before
        if early:
            p.register(s, select.EPOLLIN | select.EPOLLOUT | flag)
            p.poll(0)
        first = s.connect_ex(ls.getsockname())
        if not early:
            p.register(s, select.EPOLLIN | select.EPOLLOUT | flag)
        q.register(s, select.EPOLLIN)
        while not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            pass
        p.poll(0)
        ls.listen(5)
        # Of an attempt that has failed the next call tells once.
        while (again := s.connect_ex(ls.getsockname())) not in (0, errno.EINPROGRESS):
            pass
        if name == "once":
            p.modify(s, select.EPOLLOUT | flag)
        print(name, early, errno.errorcode[first], "connected", shown(p, s))
        c, _ = ls.accept()
        if name == "once":
            p.modify(s, select.EPOLLIN | flag)
        c.send(b"hello")
        print("bytes", shown(q, s), shown(p, s), s.recv(9))
        p.modify(s, select.EPOLLIN)
        c.close()
        print("end", shown(p, s), s.recv(9))
        p.unregister(s)
        q.unregister(s)
