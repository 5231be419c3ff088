# Calls on netlink sockets, and requests about interfaces, with what each gives. Where it has
# a loopback interface and nothing else, it prints the same on every system.
import array, ctypes, errno, fcntl, os, select, socket, struct, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
ME = os.getpid()
GETLINK, GETADDR, NEWLINK, REQUEST, ACK, DUMP = 18, 22, 16, 1, 4, 0x300


def show(name, f):
    try:
        r = f()
    except OSError as e:
        r = errno.errorcode.get(e.errno, e.errno)
    print(name + ":", r, flush=True)


def netlink(typ=socket.SOCK_RAW, protocol=0):
    return socket.socket(socket.AF_NETLINK, typ, protocol)


def request(typ, flags, body=b"\0", seq=7):
    b = struct.pack("=IHHII", 16 + len(body), typ, flags | REQUEST, seq, 0) + body
    return b + bytes(-len(body) % 4)


def messages(b):
    out = []
    while len(b) >= 16:
        n, typ, flags, seq, pid = struct.unpack_from("=IHHII", b)
        extra = (struct.unpack_from("=i", b, 16)[0],) if typ in (2, 3) else ()
        out.append((typ, hex(flags), seq, "mine" if pid == ME else "0" if pid == 0 else "other") + extra)
        b = b[(n + 3) & ~3:]
    return out


def name(a):
    return tuple("mine" if x == ME else "negative" if x > 1 << 31 else x for x in a)


def rest(s):
    out = []
    while select.select([s], [], [], 0)[0]:
        out += messages(s.recv(65536))
    return out


UNKNOWN = request(GETLINK, 0, struct.pack("=BBHiII", 0, 0, 0, 999, 0, 0))  # ENODEV
LINKS = request(GETLINK, DUMP, bytes(4))  # as long as musl's


def sockets():
    for t in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, 11):
        show(f"type {t}", lambda: netlink(t).close())
    show("protocol 99", lambda: netlink(protocol=99).close())
    show("flags", lambda: netlink(1 << 30).close())
    show("pair", lambda: socket.socketpair(socket.AF_NETLINK, socket.SOCK_RAW))
    for p in (0, 4):
        for t in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            with netlink(t, p) as s:
                print(p, [s.getsockopt(socket.SOL_SOCKET, o) for o in (socket.SO_TYPE, socket.SO_DOMAIN, socket.SO_PROTOCOL)])


def addresses():
    with netlink() as s, netlink() as o:
        show("unbound", s.getsockname)
        show("peer", s.getpeername)
        show("bind", lambda: s.bind((0, 0)))
        show("name", lambda: name(s.getsockname()))
        show("again", lambda: s.bind((0, 0)))
        show("the same", lambda: s.bind((ME, 0)))
        show("another", lambda: s.bind((12345, 0)))
        show("taken", lambda: o.bind((ME, 0)))
        show("second", lambda: (o.bind((0, 0)), name(o.getsockname()))[1])
        show("groups", lambda: (s.bind((ME, 0x11)), name(s.getsockname()))[1])
        show("fewer groups", lambda: (s.bind((ME, 1)), name(s.getsockname()))[1])
        show("connect", lambda: s.connect((0, 0)))
        show("connect to a port", lambda: s.connect((1, 0)))
        show("connect to a group", lambda: s.connect((0, 1)))
        show("to another program", lambda: s.sendto(UNKNOWN, (1, 0)))
        show("to a group", lambda: s.sendto(UNKNOWN, (0, 1)))
    with netlink() as s:
        show("own port", lambda: (s.bind((4242, 0)), s.getsockname())[1])
    with netlink() as s:
        show("released", lambda: (s.bind((4242, 0)), s.getsockname())[1])
    with netlink(protocol=4) as s, netlink() as o:
        s.bind((0, 0)), o.bind((0, 0))
        show("of each protocol", lambda: (name(s.getsockname()), name(o.getsockname())))
    with netlink() as s:
        b = struct.pack("=HHII", socket.AF_INET, 0, 0, 0)
        for what, addr, n in (("family", b, 12), ("short", struct.pack("=HHII", 16, 0, 0, 0), 8), ("empty", b, 0), ("negative", b, -1),
                              ("unspecified", bytes(12), 12)):
            for call in (libc.bind, libc.connect):
                r = call(s.fileno(), addr, n)
                print(what, call.__name__, errno.errorcode[ctypes.get_errno()] if r else r)
        n = ctypes.c_uint32(5)
        out = ctypes.create_string_buffer(b"\xff" * 16, 16)
        print("cut", libc.getsockname(s.fileno(), out, ctypes.byref(n)), n.value, out.raw.hex())


def options():
    with netlink() as s:
        for o in range(1, 15):
            show(f"get {o}", lambda: s.getsockopt(270, o) if o != 9 else s.getsockopt(270, o, 4).hex())
            if o in (1, 2, 8):
                continue
            show(f"set {o}", lambda: s.setsockopt(270, o, 1))
            show(f"got {o}", lambda: s.getsockopt(270, o) if o != 9 else None)
        for g in (0, 1, 5, 1000):
            show(f"join {g}", lambda: s.setsockopt(270, 1, g))
        show("groups", lambda: s.getsockopt(270, 9, 4).hex())
        show("name", lambda: s.getsockname()[1])
        show("leave 1", lambda: s.setsockopt(270, 2, 1))
        show("groups", lambda: s.getsockopt(270, 9, 4).hex())
        show("short", lambda: s.getsockopt(270, 3, 2))
        show("short set", lambda: s.setsockopt(270, 3, b"\1"))
        show("level", lambda: s.setsockopt(6, 1, 1))
        show("level get", lambda: s.getsockopt(41, 1))
        show("peer's", lambda: s.getsockopt(1, socket.SO_PEERCRED, 12).hex())
        show("credentials", lambda: (s.setsockopt(1, socket.SO_PASSCRED, 1), s.getsockopt(1, socket.SO_PASSCRED))[1])
        show("error", lambda: s.getsockopt(1, socket.SO_ERROR))
        show("accepts", lambda: s.getsockopt(1, socket.SO_ACCEPTCONN))
        show("listen", s.listen)
        show("accept", s.accept)
        show("shutdown", lambda: s.shutdown(socket.SHUT_RDWR))


def transfers():
    with netlink() as s:
        show("nothing", lambda: s.recv(10, socket.MSG_DONTWAIT))
        show("poll", lambda: [len(x) for x in select.select([s], [s], [s], 0)])
        show("send", lambda: s.send(UNKNOWN))
        show("bound by it", lambda: name(s.getsockname()))
        show("poll", lambda: [len(x) for x in select.select([s], [s], [s], 0)])
        show("peek a length", lambda: s.recv(0, socket.MSG_PEEK | socket.MSG_TRUNC))
        show("recvmsg nothing", lambda: s.recvmsg_into([], 0, socket.MSG_PEEK | socket.MSG_TRUNC))
        show("a part", lambda: messages(s.recv(20, socket.MSG_PEEK)))
        show("recvfrom", lambda: (lambda b, a: (messages(b), a))(*s.recvfrom(4096)))
        s.send(UNKNOWN)
        show("cut", lambda: (lambda b, c, f, a: (len(b), c, hex(f), a))(*s.recvmsg(8, 100)))
        show("the rest is gone", lambda: s.recv(10, socket.MSG_DONTWAIT))
        s.setsockopt(270, 3, 1)
        s.setsockopt(1, socket.SO_PASSCRED, 1)
        s.send(UNKNOWN)
        show("control", lambda: [(l, t, d.hex()) for l, t, d in s.recvmsg(4096, 200)[1]])
        s.send(UNKNOWN)
        show("no room for control", lambda: hex(s.recvmsg(4096, 8)[2]))
        show("write and read", lambda: (os.write(s.fileno(), UNKNOWN), select.select([s], [], [], 5), messages(os.read(s.fileno(), 4096)))[2])
        show("written, received", lambda: (os.write(s.fileno(), UNKNOWN), messages(s.recvmsg(4096)[0]))[1])
        show("at once", lambda: (s.send(LINKS), messages(s.recv(65536, socket.MSG_DONTWAIT)))[1])
        show("its end", lambda: rest(s))
        kernel = (0, 0)
        show("acknowledged", lambda: (s.sendto(request(GETLINK, ACK, struct.pack("=BBHiII", 0, 0, 0, 1, 0, 0)), kernel), rest(s))[1])
        show("two", lambda: (s.sendto(UNKNOWN + UNKNOWN, kernel), rest(s))[1])
        show("new link", lambda: (s.sendto(request(NEWLINK, ACK, bytes(16)), kernel), rest(s))[1])
        show("no bytes", lambda: s.sendto(b"", kernel))
        show("urgent", lambda: s.send(UNKNOWN, socket.MSG_OOB))
        show("urgent receive", lambda: s.recv(10, socket.MSG_OOB))
        show("too long", lambda: s.sendto(bytes(s.getsockopt(1, socket.SO_SNDBUF)), kernel))
        show("broken", lambda: (s.sendto(bytes(20), kernel), rest(s))[1])
        show("an address of another family", lambda: libc.sendto(s.fileno(), UNKNOWN, len(UNKNOWN), 0, struct.pack("=HHII", 2, 0, 0, 0), 12))
        show("with an address", lambda: (s.sendto(UNKNOWN, (0, 0)), rest(s))[1])
        show("sendmsg", lambda: (s.sendmsg([UNKNOWN[:10], UNKNOWN[10:]]), rest(s))[1])
        show("sendmsg, address", lambda: (s.sendmsg([UNKNOWN], [], 0, (0, 0)), rest(s))[1])
        s.settimeout(0.05)
        show("in time", lambda: s.recv(10))
        s.settimeout(None)
        s.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("=qq", 0, 50000))
        show("in the socket's time", lambda: s.recvfrom(10))
        show("in the socket's time, native", lambda: s.recv(10))
        s.setsockopt(1, socket.SO_RCVTIMEO, bytes(16))
        got = []
        t = threading.Thread(target=lambda: got.append(messages(s.recvmsg(4096)[0])))
        t.start()
        show("of another thread", lambda: (s.send(UNKNOWN), t.join(), got)[2])
        show("old filter", lambda: filtered())
        show("name of the sender", lambda: (s.send(UNKNOWN), s.recvmsg(4096)[3])[1])


def filtered():
    """A filter that lets nothing through (SO_ATTACH_FILTER)."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))
    with netlink() as s:
        s.setsockopt(1, 26, struct.pack("=HxxxxxxQ", 1, ctypes.addressof(code)))
        s.send(UNKNOWN)
        return rest(s)


def sharing():
    with netlink() as s:
        s.bind((0, 0))
        d = os.dup(s.fileno())
        show("a duplicate", lambda: (os.write(d, UNKNOWN), messages(s.recvmsg(4096)[0]))[1])
        os.close(d)
        sys.stdout.flush()
        if os.fork() == 0:
            show("a child", lambda: (s.send(UNKNOWN), messages(s.recvmsg(4096)[0]), name(s.getsockname()))[1:])
            os._exit(0)
        os.wait()
        a, b = socket.socketpair(socket.AF_UNIX)
        socket.send_fds(a, [b"x"], [s.fileno()])
        other = socket.socket(fileno=socket.recv_fds(b, 1, 1)[1][0])
        show("passed on", lambda: (other.send(UNKNOWN), messages(other.recvmsg(4096)[0]))[1])
        show("inherited", lambda: s.get_inheritable())
        s.set_inheritable(True)
        code = "import socket,sys; s=socket.socket(fileno=%d); print('executed', s.family.name, s.getsockname()[0] == %d)" % (s.fileno(), ME)
        sys.stdout.flush()
        os.system("exec %s -c \"%s\"" % (sys.executable, code))
        other.close()


def mmsg():
    """sendmmsg and recvmmsg of two."""
    with netlink() as s:
        iov = ctypes.create_string_buffer(UNKNOWN, len(UNKNOWN))
        vec = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(iov), len(UNKNOWN)))
        hdr = struct.pack("=QIxxxxQQQQIxxxxIxxxx", 0, 0, ctypes.addressof(vec), 1, 0, 0, 0, 0)
        both = ctypes.create_string_buffer(hdr + hdr)
        show("sendmmsg", lambda: libc.sendmmsg(s.fileno(), both, 2, 0))
        room = [ctypes.create_string_buffer(4096) for _ in range(3)]
        vecs = [ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(r), 4096)) for r in room]
        heads = ctypes.create_string_buffer(b"".join(
            struct.pack("=QIxxxxQQQQIxxxxIxxxx", 0, 0, ctypes.addressof(v), 1, 0, 0, 0, 0) for v in vecs))
        show("recvmmsg", lambda: libc.recvmmsg(s.fileno(), heads, 3, socket.MSG_DONTWAIT, None))
        show("received", lambda: [messages(room[i].raw[:struct.unpack_from("=I", heads, 64 * i + 56)[0]]) for i in range(2)])
        show("no more", lambda: (libc.recvmmsg(s.fileno(), heads, 3, socket.MSG_DONTWAIT, None), errno.errorcode[ctypes.get_errno()]))
        s.send(UNKNOWN)
        show("waits for one", lambda: libc.recvmmsg(s.fileno(), heads, 3, 0x10000, None))


def requests():
    gets = dict(FLAGS=0x8913, ADDR=0x8915, DSTADDR=0x8917, BRDADDR=0x8919, NETMASK=0x891b, METRIC=0x891d, MTU=0x8921, HWADDR=0x8927,
                SLAVE=0x8929, INDEX=0x8933, MAP=0x8970, TXQLEN=0x8942, ARP=0x8954, MIIPHY=0x8947)
    for family, typ in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM),
                        (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW)):
        with socket.socket(family, typ) as s:
            print(family.name, typ.name)
            for n, r in gets.items():
                for i in ("lo", "lo:1", "none"):
                    show(f"{n} {i}", lambda: fcntl.ioctl(s, r, struct.pack("16s24x", i.encode()))[16:].hex())
            show("ADDR of an address", lambda: fcntl.ioctl(s, 0x8915, struct.pack("16sHH4s16x", b"lo", 2, 0, socket.inet_aton("127.0.0.1")))[16:].hex())
            for i in (0, 1, 99):
                show(f"NAME {i}", lambda: fcntl.ioctl(s, 0x8910, struct.pack("16si20x", b"junk", i)).hex())
            for room in (None, 0, 39, 40, 400):
                buf = array.array("B", bytes(room or 1))
                def conf():
                    r = fcntl.ioctl(s, 0x8912, struct.pack("=ixxxxQ", room or 0, 0 if room is None else buf.buffer_info()[0]))
                    n = struct.unpack_from("i", r)[0]
                    return n, bytes(buf[:n]).hex() if room else ""
                show(f"CONF {room}", conf)
            for cmd in (10, 0x4c, 1):
                buf = array.array("B", struct.pack("I", cmd) + bytes(252))
                show(f"ETHTOOL {cmd:#x}", lambda: (fcntl.ioctl(s, 0x8946, struct.pack("=16sQ16x", b"lo", buf.buffer_info()[0])), bytes(buf[:8]).hex())[1])
            show("bad pointer", lambda: libc.ioctl(s.fileno(), 0x8913, 8) and errno.errorcode[ctypes.get_errno()])
            if os.getuid():
                for n, r in dict(FLAGS=0x8914, ADDR=0x8916, MTU=0x8922).items():
                    if family in (socket.AF_INET,) or n != "ADDR":
                        show(f"set {n}", lambda: fcntl.ioctl(s, r, struct.pack("16s24x", b"lo")))
    with open("/dev/null") as f:
        show("no socket", lambda: fcntl.ioctl(f, 0x8913, struct.pack("16s24x", b"lo")))
    print(socket.if_nameindex(), socket.if_nametoindex("lo"), socket.if_indextoname(1))
    show("no name", lambda: socket.if_nametoindex("none"))
    show("no index", lambda: socket.if_indextoname(99))


globals()[sys.argv[1]]()
