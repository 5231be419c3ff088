"""policy FILE [PORT...] - does what the lines of FILE say, each "ID KIND TARGET ARG", from the
local port ID or as the identifier ID, and prints for each "ID OUTCOME": what it has got, or an
errno. At the PORTs it serves, by TCP and UDP, and prints who has come once it is told to end."""
import concurrent.futures, errno, os, socket, struct, sys, threading, time

IP_MTU_DISCOVER, IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE, MSG_FASTOPEN = 10, 11, 25, 0x2000, 0x20000000
SERVER = '10.77.10.53'  # the name server
SHORT, LONG = 0.6, 10


def sock(host, typ, port, proto=0):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, typ, proto)
    s.settimeout(LONG)
    if typ == socket.SOCK_STREAM:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port))
    return s


def echoed(s):
    s.sendall(b'x')
    return 'ok' if s.recvfrom(10)[0] == b'x' else 'end'


def tcp(port, host, arg):
    s = sock(host, socket.SOCK_STREAM, port)
    s.connect((host, int(arg)))
    return echoed(s)


def silent(port, host, arg):
    """A connection that nobody answers."""
    s = sock(host, socket.SOCK_STREAM, port)
    s.settimeout(SHORT)
    s.connect((host, int(arg)))
    return 'ok'


def cut(port, host, arg):
    """A connection that the program resets."""
    s = sock(host, socket.SOCK_STREAM, port)
    s.connect((host, int(arg)))
    out = echoed(s)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
    return out


def reset(port, host, arg):
    """A server that greets, takes four bytes and resets the connection."""
    s = sock(host, socket.SOCK_STREAM, port)
    s.connect((host, int(arg)))
    s.sendall(b'abcd')
    while s.recvmsg(10)[0]:
        pass
    return 'end'


def fastopen(port, host, arg):
    s = sock(host, socket.SOCK_STREAM, port)
    s.setblocking(True)
    s.sendto(b'x', MSG_FASTOPEN, (host, int(arg)))
    return 'ok' if s.recv(10) == b'x' else 'end'


def udp(port, host, arg):
    s = sock(host, socket.SOCK_DGRAM, port)
    s.connect((host, int(arg)))
    return echoed(s)


def udpsilent(port, host, arg):
    s = sock(host, socket.SOCK_DGRAM, port)
    s.settimeout(SHORT)
    s.connect((host, int(arg)))
    return echoed(s)


def fragments(port, host, arg):
    s = sock(host, socket.SOCK_DGRAM, port)
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
    s.connect((host, int(arg)))
    s.send(bytes(4000))
    return 'ok' if len(s.recvfrom(5000)[0]) == 4000 else 'cut'


def errqueue(port, host, arg):
    """A socket without a peer, which is told by its error queue alone."""
    s = sock(host, socket.SOCK_DGRAM, port)
    if ':' in host:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    s.sendto(b'x', (host, int(arg)))
    try:
        s.recvfrom(10)
    except OSError:
        pass
    s.setblocking(False)
    _, control, _, to = s.recvmsg(100, 500, MSG_ERRQUEUE)
    e, origin, typ, code = struct.unpack_from('IBBB', control[0][2])
    return '%s %d/%d of %d' % (errno.errorcode[e], typ, code, to[1])


def elsewhere(port, host, arg):
    """A socket that had an allowed peer, and then sends to others: ports, or addresses."""
    first, then = arg.split(',')
    s = sock(host, socket.SOCK_DGRAM, port)
    s.connect((host, int(first)))
    out = [echoed(s)]
    s.connect((host, int(then)))
    try:
        out.append(echoed(s))
    except OSError as e:
        out.append(name(e))
    s.connect((host, int(first)))
    return ' '.join(out + [echoed(s)])


def stranger(port, host, arg):
    """An allowed peer answers from another port of its own, which is not."""
    s = sock(host, socket.SOCK_DGRAM, port)
    s.settimeout(SHORT)
    s.sendto(b'other', (host, int(arg)))
    return 'from %d' % s.recvfrom(10)[1][1]


def ping(port, host, arg):
    six = ':' in host
    s = sock(host, socket.SOCK_DGRAM, port, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    s.settimeout(SHORT if arg == 'silent' else LONG)
    s.connect((host, 0))
    s.send(struct.pack('!BBHHH', 128 if six else 8, 0, 0, 0, 1) + b'hello')
    return 'ok' if s.recvfrom(100)[0][0] in (0, 129) else 'other'


def group(port, host, arg):
    """Multicast and broadcast stay in the run."""
    s = sock(host, socket.SOCK_DGRAM, port)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.settimeout(SHORT)
    s.sendto(b'x', (host, int(arg)))
    return 'ok' if s.recvfrom(10)[0] == b'x' else 'end'


def labels(text):
    return b''.join(bytes([len(l)]) + l for l in text.rstrip('.').encode().split(b'.') if l) + b'\0'


def question(text, typ, cls=1, extra=b''):
    return struct.pack('!6H', 4711, 0x100, 2 if extra else 1, 0, 0, 0) + labels(text) + struct.pack('!HH', typ, cls) + extra


def answer(msg):
    """The rcode of an answer, and the number of its records."""
    return msg[3] & 15, struct.unpack_from('!H', msg, 6)[0]


def ask(s, msg):
    s.connect((SERVER, 53))
    if s.type == socket.SOCK_STREAM:
        s.sendall(struct.pack('!H', len(msg)) + msg)
        got = b''
        while len(got) < 2 or len(got) < 2 + struct.unpack_from('!H', got)[0]:
            more = s.recv(5000)
            if not more:
                return 'end'
            got += more
        return answer(got[2:])
    s.send(msg)
    return answer(s.recvfrom(5000)[0])


TYPES = {'A': 1, 'PTR': 12, 'TXT': 16, 'AAAA': 28, 'HTTPS': 65}


def dns(port, text, arg):
    s = sock('', socket.SOCK_DGRAM, port)
    return 'rcode %d, %d' % ask(s, question(text, TYPES[arg]))


def dnstcp(port, text, arg):
    s = sock('', socket.SOCK_STREAM, port)
    return 'rcode %d, %d' % ask(s, question(text, TYPES[arg]))


def dnsodd(port, text, arg):
    """Two questions in one, or one of another class."""
    s = sock('', socket.SOCK_DGRAM, port)
    extra = labels('evil.test') + struct.pack('!HH', 1, 1) if arg == 'two' else b''
    return 'rcode %d, %d' % ask(s, question(text, 16 if arg == 'chaos' else 1, 3 if arg == 'chaos' else 1, extra))


def dnscut(port, text, arg):
    """A question by TCP without its end, and then the end of the stream."""
    s = sock('', socket.SOCK_STREAM, port)
    s.connect((SERVER, 53))
    s.sendall(struct.pack('!H', 100) + question(text, 1))
    s.shutdown(socket.SHUT_WR)
    return 'answered' if s.recv(100) else 'end'


def dnsurgent(port, text, arg):
    """A question by TCP, each byte of which is urgent: the mark is where a filter may not look."""
    s = sock('', socket.SOCK_STREAM, port)
    s.settimeout(SHORT)
    s.connect((SERVER, 53))
    msg = question(text, 1)
    for b in struct.pack('!H', len(msg)) + msg + b'\0':  # of two, the first becomes plain
        s.send(bytes([b]), socket.MSG_OOB)
        time.sleep(0.002)  # so that each is read before the next
    return 'answered' if s.recv(100) else 'end'


def then(asked, port, text, arg):
    """Asks for a name, and connects to an address."""
    kind, host, to = arg.split(',')
    for typ in asked:
        s = sock('', socket.SOCK_DGRAM, 0)
        code, n = ask(s, question(text, typ))
        if code != 0 or n == 0:
            return 'rcode %d, %d' % (code, n)
    return KINDS[kind](port, host, to)


def named(port, text, arg):
    return then((1, 28), port, text, arg)


def hinted(port, text, arg):
    return then((65,), port, text, arg)


def libc(port, text, arg):
    """Asks libc, which asks the server, and connects to what it says."""
    a = socket.getaddrinfo(text, int(arg), socket.AF_INET, socket.SOCK_STREAM)[0][4]
    return tcp(port, a[0], a[1])


KINDS = {f.__name__: f for f in (
    tcp, silent, fastopen, udp, udpsilent, fragments, errqueue, elsewhere, stranger, ping, group, dns, dnstcp, dnsodd, dnscut, dnsurgent, cut, reset, named, hinted, libc)}


def name(e):
    if isinstance(e, socket.timeout):
        return 'timeout'
    if isinstance(e, socket.gaierror):
        return 'gai %d' % e.errno
    return errno.errorcode.get(e.errno, str(e))


def does(line):
    number, kind, target, arg = line.split()
    try:
        out = KINDS[kind](int(number), target, arg)
    except OSError as e:
        out = name(e)
    return '%s %s' % (number, out)


visitors = []


def serve(port):
    l = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True)
    d = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    d.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    d.bind(('::', port))

    def streams():
        while True:
            c, a = l.accept()
            visitors.append('tcp %d' % a[1])
            try:
                c.sendall(c.recv(10))
            except OSError:
                pass
            c.close()

    def datagrams():
        while True:
            data, a = d.recvfrom(5000)
            visitors.append('udp %d' % a[1])
            d.sendto(data, a)

    for f in streams, datagrams:
        threading.Thread(target=f, daemon=True).start()


for p in sys.argv[2:]:
    serve(int(p))
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    for line in pool.map(does, open(sys.argv[1])):
        print(line)
if len(sys.argv) > 2:
    print('serving', flush=True)
    sys.stdin.readline()
    for v in sorted(visitors):
        print('visitor', v)
sys.stdout.flush()
os._exit(0)
