"""outsafe CASE ARGS - loads the gateway of its run and looks at its supervisor, the process SUP."""
import errno, os, resource, socket, sys, time

SUP = os.environ.get('SUP', '')


def supervisor():
    """The supervisor's memory in MiB."""
    with open(f'/proc/{SUP}/statm') as f:
        return int(f.read().split()[1]) * resource.getpagesize() / (1 << 20)


def until(what, ok, seconds=30):
    end = time.monotonic() + seconds
    while not ok():
        if time.monotonic() > end:
            print(what, 'not in time', supervisor(), flush=True)
            return False
        time.sleep(0.01)
    return True


def stream(port, host='127.0.0.1', timeout=10):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    s.settimeout(timeout)
    try:
        s.connect((host, port))
        s.sendall(b'x')
        assert s.recv(1) == b'x'
    except BaseException:
        s.close()
        raise
    return s


def datagram(port, timeout=5):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.settimeout(timeout)
        s.sendto(b'x', ('127.0.0.1', port))
        assert s.recv(10) == b'x'
    except BaseException:
        s.close()
        raise
    return s


def many(port, echo, n):
    for _ in range(200):  # what is made once is there
        stream(port).close()
        datagram(echo).close()
    before = supervisor()
    print('warm', flush=True)
    until('go', lambda: os.path.exists('go'))
    for _ in range(n):
        stream(port).close()
    print('streams', flush=True)
    for _ in range(n):
        datagram(echo).close()
    print('datagrams', flush=True)
    after = supervisor()
    print('# before, after:', before, after)
    print('memory as before' if after < before + 64 else f'memory {before} {after}', flush=True)
    print('done', flush=True)
    until('end', lambda: os.path.exists('end'))


def few(port, echo):
    for make, what in (lambda: stream(port, timeout=1), 'some'), (lambda: datagram(echo, timeout=0.5), 'some datagrams'):
        held, failed = [], 0
        while failed < 3 and len(held) < 200:
            try:
                held.append(make())
            except OSError as e:
                failed += 1
                print('#', len(held), type(e), e)
        print(what if len(held) >= 3 else f'only {len(held)}', flush=True)
        for s in held:
            s.close()
        end = time.monotonic() + 5
        while True:
            try:
                make().close()
                print('again', flush=True)
                break
            except OSError as e:
                if time.monotonic() > end:
                    print('not again:', e, flush=True)
                    break


def halfopen():
    for _ in range(3):  # a busy machine holds things up, but not each time
        flood_connects()
        begin = time.monotonic()
        stream(7001, '10.77.3.2').close()
        took = time.monotonic() - begin
        if took < 0.9:
            break
    print('works at once' if took < 0.9 else f'works after {took:.1f} s', flush=True)


def flood_connects():
    held = []
    for i in range(1500):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(('10.77.66.%d' % (i % 250 + 1), 1000 + i))
        held.append(s)
        if i % 3 == 0:
            held.pop(0).close()
    print('# flooded', flush=True)
    for s in held:
        s.close()


def send(port):
    s = stream_plain(port)
    print('pid', os.getpid(), flush=True)
    while True:
        s.sendall(b'z' * 65536)


def stream_plain(port):
    s = socket.socket()
    s.connect(('127.0.0.1', port))
    return s


def flood(port):
    held = [stream_plain(port) for _ in range(8)]
    most, quiet = 0, 0
    while quiet < 100:  # until it stands still for a second
        now = supervisor()
        quiet = quiet + 1 if now < most + 1 else 0
        most = max(most, now)
        time.sleep(0.01)
    print('# memory', most)
    print('a stream that nobody reads:', 'bounded' if most < 200 else most, flush=True)
    for s in held:
        s.close()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', 9))
    end, most, n = time.monotonic() + 2, 0, 0
    while time.monotonic() < end:
        for _ in range(200):
            try:
                s.send(b'd' * 1400)
                n += 1
            except OSError:
                pass
        most = max(most, supervisor())
    print('# memory', most, n)
    print('datagrams to nobody:', 'bounded' if most < 200 else most, flush=True)
    s.close()
    stream_plain(port).close()
    print('works', flush=True)


globals()[sys.argv[1]](*map(int, sys.argv[2:]))
