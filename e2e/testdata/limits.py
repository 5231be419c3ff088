"""What happens where descriptors run out: the supervisor's, or the program's own.

Each case prints lines that are the same on the kernel, which has no supervisor. The
errors that a program may see are those of its own limit (EMFILE) and of the
system's (ENFILE)."""
import ctypes
import errno
import os
import resource
import select
import signal
import socket
import sys
import threading
import time

OWN = {errno.EMFILE, errno.ENFILE}
LIBC = ctypes.CDLL(None, use_errno=True)


def name(e):
    return errno.errorcode.get(e.errno, str(e))


def unlimit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listener(backlog=512):
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


# --- the supervisor's limit ---


def echo_server(ls):
    """Serves until it is killed; a refused accept is tried again."""
    signal.alarm(60)
    ls.setblocking(False)
    p = select.epoll()
    p.register(ls, select.EPOLLIN)
    conns = {}
    while True:
        for fd, _ in p.poll():
            if fd == ls.fileno():
                try:
                    c, a = ls.accept()
                except BlockingIOError:
                    continue
                except OSError as e:
                    if e.errno not in OWN:
                        print("accept:", name(e), flush=True)
                        os._exit(1)
                    time.sleep(0.01)
                    continue
                c.setblocking(False)
                conns[c.fileno()] = c
                p.register(c, select.EPOLLIN)
                continue
            try:
                b = conns[fd].recv(100)
                if b:
                    conns[fd].send(b)
                    continue
            except OSError:
                pass
            p.unregister(fd)
            conns.pop(fd).close()


class Client:
    """One connection, whose bytes are its own."""

    def __init__(self, at, kind, token, wait=10):
        self.token = b"<%s>" % token.encode()
        self.got = b""
        self.s = socket.socket()
        try:
            if kind == "nonblocking":
                self.s.setblocking(False)
                e = self.s.connect_ex(at)
                if e == errno.EINPROGRESS:
                    select.select([], [self.s], [], wait)
                    e = self.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if e:
                    raise OSError(e, os.strerror(e))
            else:
                self.s.settimeout(wait if kind == "timeout" else None)
                self.s.connect(at)
            self.s.setblocking(False)
            self.s.send(self.token)
        except OSError:
            self.s.close()
            raise

    def answered(self, wait):
        if self.got != self.token and select.select([self.s], [], [], wait)[0]:
            self.got += self.s.recv(100)
        return self.got == self.token

    def wrong(self):
        return not self.token.startswith(self.got)


class Tally:
    def __init__(self):
        self.bad, self.wrong, self.failed = set(), 0, 0

    def open(self, held, at, kind, token):
        try:
            held.append(Client(at, kind, token))
        except OSError as e:
            self.failed += 1
            if e.errno not in OWN:
                self.bad.add(name(e))


def client_process(at, kind, me, number, keep, barrier):
    """Opens many connections, closes most of them, and opens a few again."""
    tally, held = Tally(), []

    def opens(k, n):
        for i in range(n):
            tally.open(held, at, kind, "%d.%d.%d" % (me, k, i))

    if kind == "threads":
        threads = [threading.Thread(target=opens, args=(k, number // 10)) for k in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    else:
        opens(0, number)
    opened = len(held)
    for c in held:
        c.answered(0.01)
        tally.wrong += c.wrong()
    barrier.wait(0)  # all have what they can get
    for c in held[:-keep]:
        c.s.close()
    # Those that are left were queued, or are old: nobody connects meanwhile.
    end = time.monotonic() + 5
    kept = sum(c.answered(max(0, end - time.monotonic())) for c in held[-keep:])
    tally.wrong += sum(c.wrong() for c in held[-keep:])
    enough = kept == min(keep, opened)
    barrier.wait(1)
    fresh = 0
    for i in range(5):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                c = Client(at, kind, "%d.fresh.%d" % (me, i))
                break
            except OSError as e:
                if e.errno not in OWN:
                    tally.bad.add(name(e))
                time.sleep(0.01)
        else:
            continue
        fresh += c.answered(5)
        tally.wrong += c.wrong()
        c.s.close()
    return (tally.wrong, sorted(tally.bad), enough, fresh), "%d opened, %d refused" % (opened, tally.failed)


class Barrier:
    """Two rounds in which the children tell how far they are and wait for each other."""

    def __init__(self):
        self.rounds = [(os.pipe(), os.pipe()) for _ in range(2)]

    def wait(self, k):
        told, go = self.rounds[k]
        os.write(told[1], b"x")
        os.read(go[0], 1)

    def gather(self, k, n, then=lambda: None):
        told, go = self.rounds[k]
        for _ in range(n):
            os.read(told[0], 1)
        then()
        os.write(go[1], b"x" * n)


def crowd(kind, processes, number, keep):
    """Several clients and servers need more than the supervisor has."""
    unlimit()
    ls = listener()
    servers = []
    for _ in range(processes):
        servers.append(os.fork())
        if servers[-1] == 0:
            echo_server(ls)
    at = ls.getsockname()
    ls.close()
    barrier = Barrier()
    out, answer = os.pipe()
    clients = []
    for me in range(processes):
        clients.append(os.fork())
        if clients[-1] == 0:
            signal.alarm(60)
            try:
                line, note = client_process(at, kind, me, number, keep, barrier)
                os.write(answer, ("#client %s\nclient: wrong bytes %d, other errors %s, kept ones answered %s, new ones %d\n" % ((note,) + line)).encode())
            except BaseException as e:
                os.write(answer, ("client: %r\n" % e).encode())
            finally:
                os._exit(0)
    for k in range(2):
        barrier.gather(k, processes)
    for c in clients:
        os.waitpid(c, 0)
    for s in servers:
        os.kill(s, signal.SIGKILL)
        os.waitpid(s, 0)
    print(os.read(out, 65536).decode(), end="")


def blocks(number):
    """Many failing connects, one after another, and then a call that needs nothing."""
    unlimit()
    ls = listener()
    server = os.fork()
    if server == 0:
        echo_server(ls)
    at = ls.getsockname()
    bad = set()
    for _ in range(3):  # a busy machine holds things up, but not each time
        held = []
        for _ in range(number):
            try:
                s = socket.socket()
                held.append(s)
                s.connect(at)
            except OSError as e:
                if e.errno not in OWN:
                    bad.add(name(e))
        t = time.monotonic()
        try:
            socket.socket().close()
        except OSError as e:
            if e.errno not in OWN:
                bad.add(name(e))
        took = time.monotonic() - t
        if took < 1:
            break
    print("socket at once:", took < 1, "other errors:", sorted(bad))
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


def full():
    """Takes all there is, says so, and waits to be ended."""
    unlimit()
    ls = listener()
    ls.settimeout(1)  # another process may accept what this one has connected
    held = []
    others, mine = os.pipe()  # ends when all have closed theirs
    for _ in range(3):
        if os.fork() == 0:
            break
    try:
        while len(held) < 100:
            s = socket.socket()
            held.append(s)
            s.settimeout(1)
            s.connect(ls.getsockname())
            held.append(ls.accept()[0])
    except OSError:
        pass
    print("full", flush=True)
    signal.alarm(40)
    os.close(mine)
    os.read(others, 1)
    if os.getpid() % 2:
        ls.settimeout(None)  # for all: no other may be about to accept what a third one takes
        while True:
            try:
                held.append(ls.accept()[0])
            except OSError:
                time.sleep(0.01)
    while True:
        signal.pause()


def udp(number):
    """Datagram sockets beyond the limit; those that there are go on."""
    unlimit()
    first = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for s in first:
        s.bind(("127.0.0.1", 0))
    out, answer = os.pipe()
    barrier = Barrier()
    pids = []
    for me in range(4):
        pids.append(os.fork())
        if pids[-1] == 0:
            os.write(answer, udp_process(number, barrier))
            os._exit(0)
    barrier.gather(0, 4, lambda: print("at the limit:", [own_datagram(s) for s in first]))
    barrier.gather(1, 4)
    for p in pids:
        os.waitpid(p, 0)
    print(os.read(out, 65536).decode(), end="")
    print("afterwards:", [own_datagram(s) for s in first])


def own_datagram(s):
    token = os.urandom(8)
    s.settimeout(2)
    s.sendto(token, s.getsockname())
    return s.recvfrom(100)[0] == token


def udp_process(number, barrier):
    signal.alarm(30)
    held, bad, wrong = [], set(), 0
    for i in range(number):
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 0))
            held.append(s)
        except OSError as e:
            if e.errno not in OWN:
                bad.add(name(e))
    wrong = sum(not own_datagram(s) for s in held)
    barrier.wait(0)
    for s in held:
        s.close()
    barrier.wait(1)
    again = 0
    for i in range(5):
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", 0))
            again += own_datagram(s)
        except OSError as e:
            bad.add(name(e))
    return b"process: wrong %d, other errors %a, again %d\n" % (wrong, sorted(bad), again)


def reclaim(rounds):
    """Closed datagram sockets leave no descriptor behind that a new socket needs."""
    refused = {"one": 0, "batch": 0, "stream": 0, "accept": 0, "connected": 0}
    ls = listener()

    def attempt(kind, f):
        try:
            return f()
        except OSError as e:
            refused[kind] += 1

    def datagram(kind):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", 0))
        if kind == "connected":
            s.connect(s.getsockname())
        return s

    for _ in range(rounds):
        s = attempt("one", lambda: datagram("one"))
        s and s.close()
    for _ in range(rounds // 15):
        for kind in "batch", "connected":
            batch = [attempt(kind, lambda: datagram(kind)) for _ in range(15)]
            for s in batch:
                s and s.close()
        c = attempt("stream", lambda: socket.create_connection(ls.getsockname()))
        a = attempt("accept", lambda: c and ls.accept()[0])
        a and a.close()
        c and c.close()
    print("refused:", refused)


def listeners(number):
    """Listeners beyond the limit: each that there is takes its own clients."""
    unlimit()
    held, bad, right = [], set(), 0
    for _ in range(number):
        try:
            held.append(listener())
        except OSError as e:
            if e.errno not in OWN:
                bad.add(name(e))
    for ls in held[:10]:
        ls.close()
    for ls in held[10:15]:
        c = Client(ls.getsockname(), "timeout", "l%d" % ls.getsockname()[1])
        ls.settimeout(2)
        a = ls.accept()[0]
        a.settimeout(2)
        right += a.recv(100) == c.token
    for ls in held:
        ls.close()
    again = [listener() for _ in range(10)]
    print("own clients %d, other errors %s, again %d" % (right, sorted(bad), len(again)))


# --- the program's own limit ---


def fill():
    """Takes all numbers up to the limit."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return held


def call(f):
    try:
        return f()
    except OSError as e:
        return name(e)


def libc_accept(fd):
    n = LIBC.accept(fd, None, None)
    if n < 0:
        raise OSError(ctypes.get_errno(), "")
    return socket.socket(fileno=n)


def own(kind):
    ls = listener(8)
    clients = [socket.create_connection(ls.getsockname()) for _ in range(4)]
    for i, c in enumerate(clients):
        c.sendall(b"request %d" % i)
    acceptor = ls.dup() if kind == "dup" else ls
    accept = (lambda: libc_accept(acceptor.fileno())) if kind == "accept" else (lambda: acceptor.accept()[0])
    poll, epoll = select.poll(), select.epoll()
    poll.register(ls, select.POLLIN)
    epoll.register(ls, select.EPOLLIN)
    poll.poll(5000)
    held = fill()
    for i in range(3):
        print("at the limit:", call(accept), poll.poll(0)[0][1], epoll.poll(0)[0][1])
    if kind == "threads":
        said = []
        threads = [threading.Thread(target=lambda: said.append(call(accept))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print("threads:", said, poll.poll(0)[0][1])
    if kind == "fork":
        fork_accepts(held, accept)
    for fd in held:
        os.close(fd)
    accepted = []
    ls.settimeout(2)
    for i in range(4 if kind != "fork" else 2):
        s = accept()
        s.settimeout(2)
        accepted.append(s)
        print("with room:", s.recv(50))
    print("poll:", poll.poll(0), "epoll:", epoll.poll(0))
    for i, c in enumerate(clients):
        c.settimeout(0.05)
        print("client", i, call(lambda: c.recv(10)))


def fork_accepts(held, accept):
    """A child has room and takes two, in order."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        for fd in held:
            os.close(fd)
        for _ in range(2):
            s = accept()
            print("child:", s.recv(50), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    print("parent:", call(accept))


def nothing_queued():
    """Linux takes the number first, so that it does not look whether one waits."""
    ls = listener()
    ls.setblocking(False)
    held = fill()
    print("non-blocking:", call(ls.accept))
    ls.setblocking(True)
    print("blocking:", call(ls.accept))
    for fd in held:
        os.close(fd)
    ls.setblocking(False)
    print("with room:", call(ls.accept))


def leaves(rounds):
    """Calls that fail at the program's limit leave nothing behind."""
    ls = listener()
    c = socket.create_connection(ls.getsockname())
    select.select([ls], [], [])
    held = fill()
    outcomes = set()
    for i in range(rounds):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM | socket.SOCK_NONBLOCK):
            outcomes.add(call(lambda: socket.socket(socket.AF_INET, kind)))
        if i < rounds // 10:
            outcomes.add(call(ls.accept))
    for fd in held:
        os.close(fd)
    pairs = [(c, ls.accept()[0])]
    for i in range(10):
        c = socket.create_connection(ls.getsockname())
        pairs.append((c, ls.accept()[0]))
    own = 0
    for i, (c, a) in enumerate(pairs):
        c.sendall(b"%d" % i)
        own += a.recv(10) == b"%d" % i
    print("outcomes %s, afterwards %d" % (sorted(outcomes), own))


# --- without a limit of its own ---


def many(number):
    """Connections one after another, a few kept, none lost and none mixed up."""
    ls = listener()
    own, kept = 0, []
    for i in range(number):
        c = socket.create_connection(ls.getsockname())
        a = ls.accept()[0]
        c.send(b"%d" % i)
        own += a.recv(20) == b"%d" % i
        kept.append((i, c, a))
        if len(kept) > 20:
            kept.pop(0 if i % 2 else 10)
    for i, c, a in kept:
        a.send(b"%d" % i)
        own += c.recv(20) == b"%d" % i
    print(own - len(kept), "connections with their own bytes")


CASES = {f.__name__: f for f in (crowd, blocks, full, udp, reclaim, listeners, own, nothing_queued, leaves, many)}
CASES[sys.argv[1]](*(int(a) if a.isdigit() else a for a in sys.argv[2:]))
