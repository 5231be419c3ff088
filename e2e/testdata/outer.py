"""outer CASE... - asks a network with servers, routers and dead ends (see network_test.go) for
what can happen, and prints what a program sees: results, errnos, poll's masks, and how long it
took in classes, as exact times differ."""
import concurrent.futures, errno, os, select, socket, struct, sys, time

SERVER, ECHO, CLOSED = ('10.77.3.2', 'fd77:3::2'), 7001, 7099
IP_RECVERR, IPV6_RECVERR, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP_MTU, IPV6_MTU = 11, 25, 10, 23, 14, 24
TCP_USER_TIMEOUT = 18
DONT, WANT, DO, PROBE = range(4)
MASKS = ('IN', 'PRI', 'OUT', 'ERR', 'HUP', 'NVAL'), (1, 2, 4, 8, 16, 32)


def name(e):
    return errno.errorcode.get(e, str(e))


def told(f, *args):
    """What f does: its result, or its errno."""
    try:
        return f(*args)
    except socket.timeout as e:
        return name(e.errno) if e.errno else 'timeout'
    except OSError as e:
        return name(e.errno)


def took(begin):
    t = time.monotonic() - begin
    return 'soon' if t < 2.2 else 'after some seconds' if t < 8 else 'late'


def mask(m):
    m = [(n) for n, b in zip(*MASKS) if m & b] + (['RDHUP'] if m & 0x2000 else [])
    return '|'.join(m) or 'nothing'


def poll(s, ms, want=select.POLLIN | select.POLLOUT | select.POLLRDHUP):
    p = select.poll()
    p.register(s, want)
    got = p.poll(ms)
    return mask(got[0][1]) if got else 'nothing'


def so_error(s):
    return name(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) if s else None


def tcp(a):
    return socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET, socket.SOCK_STREAM)


def udp(a):
    return socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET, socket.SOCK_DGRAM)


# Where nothing is to be had, and on which port.
DEAD = [('refused', a, CLOSED) for a in SERVER] + [
    ('%s %s' % (where, kind), pattern % (first + i), ECHO)
    for where, first in (("router's", 64), ('own', 72))
    for i, kind in enumerate(('unreachable', 'prohibit', 'blackhole'))
    for pattern in ('10.77.%d.1', 'fd77:%d::1')
]


def connects():
    for what, a, port in DEAD:
        s = tcp(a)
        s.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 1200)
        begin = time.monotonic()
        print('connect,', what, a, told(s.connect, (a, port)), took(begin) if 'blackhole' not in what else '', flush=True)
        print('  again', told(s.connect, (SERVER[':' in a], ECHO)), flush=True)
        s.close()


def polls():
    for what, a, port in DEAD:
        s = tcp(a)
        s.setblocking(False)
        c = told(s.connect, (a, port))
        p = '' if 'blackhole' in what else poll(s, 5000)
        print('connect,', what, a)
        if "router's blackhole" == what:
            print('  poll', poll(s, 300), so_error(s), flush=True)
        else:
            # What the kernel shows besides depends on whether the answer came while connect
            # was in the kernel still; what it fails at once with, usock's connect tells later.
            print('  error', so_error(s) if c == 'EINPROGRESS' else c, flush=True)
            if what == 'refused':
                print('  then', p, so_error(s), poll(s, 0), told(s.recv, 1), told(s.send, b'x'), flush=True)
        s.close()


def noanswer():
    """No answer to ARP and neighbour solicitation, and a timeout to send."""
    def connect(a):
        s = tcp(a)
        begin = time.monotonic()
        r = 'connect, no neighbour', a, told(s.connect, (a, ECHO)), took(begin)
        s.close()
        return r
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for r in pool.map(connect, ('10.77.1.99', '10.77.67.1', 'fd77:1::99', 'fd77:67::1')):
            print(*r, flush=True)
    s = tcp('10.77.66.1')
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('qq', 0, 300000))
    begin = time.monotonic()
    print('connect, a timeout to send', told(s.connect, ('10.77.66.1', ECHO)), took(begin), flush=True)
    s.close()


def odd():
    """Destinations that are no hosts."""
    for a in '0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.2.3', '255.255.255.255', '10.77.1.255', '240.0.0.1', '::', 'ff02::1', 'ff0e::7', '::ffff:10.77.3.2':
        s = tcp(a)
        s.settimeout(2)
        print('connect', a, told(s.connect, (a, CLOSED)), flush=True)
        s.close()
    for a in '0.0.0.0', '224.0.0.1', '255.255.255.255', '240.0.0.1', '::', 'ff02::1', 'ff0e::7', '::ffff:10.77.3.2':
        for allowed in 0, 1:
            s = udp(a)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, allowed)
            print('sendto', a, told(s.sendto, b'x', (a, CLOSED)), flush=True)
            s.close()
            s = udp(a)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, allowed)
            print('connect', a, told(s.connect, (a, CLOSED)), flush=True)
            s.close()
    # That an address is the machine's network's broadcast address is found out by sending.
    for allowed in 0, 1:
        s = udp('10.77.1.255')
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, allowed)
        told(s.sendto, b'x', ('10.77.1.255', CLOSED))
        until = time.monotonic() + 2
        r = 1
        while allowed == 0 and r == 1 and time.monotonic() < until:
            r = told(s.sendto, b'x', ('10.77.1.255', CLOSED))
        print('broadcast', allowed, r, flush=True)
        s.close()
    for a in SERVER:
        for s in tcp(a), udp(a):
            print('port 0', a, told(s.connect, (a, 0)), told(s.send, b'x') if s.type == socket.SOCK_DGRAM else '', flush=True)
            s.close()


def streams():
    """Ends, resets and half closes."""
    for a in SERVER:
        s = tcp(a)
        s.connect((a, 7002))  # says something, and resets when it has read 4 bytes
        s.setblocking(True)
        print('hello', s.recv(100), flush=True)
        s.send(b'quit')
        got = b''
        while True:
            r = told(s.recv, 65536)
            if not isinstance(r, bytes):
                break
            got += r
            if not r:
                break
        print('reset after', 'some' if got else 'nothing', r, poll(s, 0), told(s.recv, 1), told(s.send, b'x'), flush=True)
        s.close()

        s = tcp(a)
        s.connect((a, 7003))  # closes its half, and answers what it then reads with nothing
        print('half', s.recv(100), s.recv(100), poll(s, 0), flush=True)
        s.sendall(b'z' * 300000)
        s.shutdown(socket.SHUT_WR)
        print('both', poll(s, 5000, select.POLLHUP), flush=True)
        s.close()

        s = tcp(a)
        s.connect((a, ECHO))
        s.sendall(b'y' * 100000)
        s.shutdown(socket.SHUT_WR)
        n = 0
        while True:
            b = s.recv(65536)
            if not b:
                break
            n += len(b)
        print('echoed', n, poll(s, 5000, select.POLLHUP), told(s.send, b'x'), flush=True)
        s.close()

        s = tcp(a)
        s.connect((a, ECHO))
        s.shutdown(socket.SHUT_RD)
        print('shut for reading', told(s.send, b'x'), told(s.recv, 10) in (b'', b'x'), flush=True)
        s.close()


def silence():
    """The way to the server falls silent while connections are there."""
    held = []
    for a in SERVER:
        for what in 'user timeout', 'keepalive':
            s = tcp(a)
            s.connect((a, ECHO))
            s.sendall(b'x')
            assert s.recv(1) == b'x'
            if what == 'keepalive':
                for level, option, v in (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (6, socket.TCP_KEEPINTVL, 1), (6, socket.TCP_KEEPCNT, 2), (6, socket.TCP_KEEPIDLE, 1):
                    s.setsockopt(level, option, v)
            else:
                s.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 700)
            s.settimeout(20)
            held.append((what, a, s))
    print('ready', flush=True)
    while not os.path.exists('silent'):
        time.sleep(0.01)
    for what, _, s in held:
        if what == 'user timeout':
            s.sendall(b'into the void')
    for what, a, s in held:
        print(what, a, poll(s, 20000, select.POLLIN), so_error(s), poll(s, 0), told(s.recv, 10), flush=True)


def control(s, flags=socket.MSG_ERRQUEUE):
    """An entry of the error queue, which poll need not tell of."""
    s.setblocking(False)
    try:
        data, anc, _, to = s.recvmsg(70000, 1000, flags)
    except OSError as e:
        return name(e.errno)
    out = []
    for level, typ, d in anc:
        if (level, typ) in ((0, IP_RECVERR), (41, IPV6_RECVERR)):
            e, origin, t, c, _, info, _ = struct.unpack('IBBBBII', d[:16])
            family, = struct.unpack('H', d[16:18])
            who = socket.inet_ntop(family, d[20:24] if family == 2 else d[24:40]) if family else 'nobody'
            out.append(f'{name(e)} origin {origin} type {t} code {c} info {info} by {who}')
    return len(data), data[:8], to and to[:2], out


def recverr(s):
    s.setsockopt(0, IP_RECVERR, 1) if s.family == socket.AF_INET else s.setsockopt(41, IPV6_RECVERR, 1)


def datagrams():
    for what, a, port in DEAD:
        for connected in True, False:
            for err in False, True:
                if not connected and not err and 'router' in what:
                    continue  # it is told nothing
                s = udp(a)
                s.settimeout(0.4)
                if 'blackhole' in what:
                    s.settimeout(0.2)
                elif 'router' not in what and (connected or err):
                    s.settimeout(5)  # it is told, and once
                if err:
                    recverr(s)
                print('datagram,', what, a, 'connected' if connected else '', 'queue' if err else '', flush=True)
                if 'own' in what:
                    # The kernel's calls fail, those of usock are told afterwards.
                    if connected:
                        r = told(s.connect, (a, port)) or told(s.send, b'question')
                    else:
                        r = told(s.sendto, b'question', (a, port))
                    if r == 8 and (err or connected):
                        r = told(s.recvfrom, 10)
                    print('  ', r if err or connected else '', flush=True)
                    s.close()
                    continue
                if connected:
                    s.connect((a, port))
                    print('  send', told(s.send, b'question'))
                else:
                    print('  send', told(s.sendto, b'question', (a, port)))
                r = told(s.recvfrom, 10)
                for _ in range(10):  # a router tells only so much at a time
                    if r == 'timeout' and "router's" in what and 'blackhole' not in what and (err or 'prohibit' in what):
                        told(s.sendto, b'question', (a, port)) if not connected else told(s.send, b'question')
                        r = told(s.recvfrom, 10)
                print('  recv', r, flush=True)
                if err:
                    print('  queue', control(s), control(s), 'error', so_error(s), flush=True)
                s.close()
    for a in SERVER:  # an error is told once, by whichever call comes first
        s = udp(a)
        s.connect((a, CLOSED))
        s.send(b'1')
        print('poll', poll(s, 3000, select.POLLIN), 'send', told(lambda: s.sendmsg([b'2'])), flush=True)
        s.sendmsg([b'3'])
        poll(s, 3000, select.POLLIN)
        print('error', so_error(s), so_error(s))
        s.close()
        # Others' errors do not hurt.
        s = udp(a)
        s.settimeout(3)
        for i in range(3):
            s.sendto(b'x', (a, CLOSED + i))
            s.sendto(b'echo', (a, ECHO))
            print(s.recv(10), flush=True)
        s.close()


def told_of(s, size, want):
    """Sends until it fails as wanted, or time is up."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for f in (lambda: s.sendmsg([b'd' * size])), (lambda: s.recvmsg(10)):
            r = told(f)
            if r == want:
                return r
    return r


def sizes():
    for a in SERVER:
        v6 = ':' in a
        level, discover, mtu = (41, IPV6_MTU_DISCOVER, IPV6_MTU) if v6 else (0, IP_MTU_DISCOVER, IP_MTU)
        s = udp(a)
        s.settimeout(3)
        s.setsockopt(level, discover, DONT)
        s.connect((a, ECHO))
        for n in 0, 1, 1252, 1272, 1452, 1472, 1473, 9000, 65000, 65507:
            r = told(lambda: s.sendmsg([b'd' * n]))
            while poll(s, 300, select.POLLIN) == 'nothing' and v6:
                r = told(lambda: s.sendmsg([b'd' * n]))  # the kernel had to learn the path's MTU
            print(a, n, r, len(s.recvfrom(70000)[0]), flush=True)
            while v6 and poll(s, 50, select.POLLIN) != 'nothing':
                s.recvfrom(70000)
        print(told(lambda: s.sendmsg([b'd' * (65528 if v6 else 65508)])), flush=True)
        s.close()
        # What the kernel has learnt of the path is not forgotten with the socket.
        for how in DO, PROBE, WANT:
            for connected in True, False:
                s = udp(a)
                s.settimeout(0.1)
                s.setsockopt(level, discover, how)
                s.connect((a, ECHO))
                if how == DO:
                    print('discover', how, told_of(s, 1400, 'EMSGSIZE'), flush=True)
                elif how == PROBE:
                    recverr(s)
                    s.sendmsg([b'd' * 1400])
                    print('probe', poll(s, 3000, select.POLLIN), control(s), told(lambda: s.sendmsg([b'd' * 1252])), flush=True)
                else:
                    s.settimeout(0.3)
                    until = time.monotonic() + 3
                    while time.monotonic() < until:
                        told(lambda: s.sendmsg([b'd' * 1400]))
                        if len(told(lambda: s.recvmsg(2000))[0]) == 1400:
                            print('got it in fragments')
                            break
                while isinstance(told(lambda: s.recvmsg(2000)), tuple):
                    pass
                s.settimeout(3)
                print('  mtu', s.getsockopt(level, mtu) if how == DO else '', s.sendmsg([b'd' * 1252]), len(s.recvmsg(2000)[0]), flush=True)
                s.close()


def hops():
    for a in SERVER:
        for connected in True, False:
            s = udp(a)
            s.settimeout(2)
            recverr(s)
            if connected:
                s.connect((a, CLOSED))
            for ttl in 1, 2, 3, 4:
                s.setsockopt(41 if ':' in a else 0, 16 if ':' in a else 2, ttl)
                print(ttl, told(s.sendto, b'probe', (a, CLOSED)) if not connected else told(s.send, b'probe'), poll(s, 2000, select.POLLIN), control(s), flush=True)
            s.close()
        s = tcp(a)
        s.setsockopt(41 if ':' in a else 0, 16 if ':' in a else 2, 2)
        begin = time.monotonic()
        print('TCP, two hops', told(s.connect, (a, ECHO)), flush=True)
        s.close()


for case in sys.argv[1:]:
    globals()[case]()
