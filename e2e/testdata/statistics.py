# Makes sockets, and holds what ss(8) tells of them against what they say themselves.
import os, re, socket, subprocess, time

ME = os.getpid()


def ss(*args):
    """Rows of ss: local and peer address, and the whole line with what follows it."""
    out = subprocess.run(["ss", "-HO", *args], check=True, capture_output=True, text=True)
    assert out.stderr == "", out.stderr
    return [(f[3], f[4], line) for line in out.stdout.splitlines() if len(f := line.split()) >= 5]


def at(a):
    return f"[{a[0]}]:{a[1]}" if ":" in a[0] else f"{a[0]}:{a[1]}"


def row(s, *args, peer=None):
    """The one row that is of the socket, by its process and descriptor."""
    rows = [r for r in ss(*args, "-p") if f'pid={ME},fd={s.fileno()})' in r[2]]
    assert len(rows) == 1, (s, rows, ss(*args, "-p"))
    local, far, line = rows[0]
    assert local == at(s.getsockname()), (local, s)
    assert far == (at(s.getpeername()) if peer is None else peer), (far, s)
    return line


listener = socket.create_server(("127.0.0.1", 0), backlog=7)
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
waiting = socket.create_connection(listener.getsockname())
print("listener", row(listener, "-tln", peer="0.0.0.0:*").split()[:3])

server.sendall(b"x" * 1000)
while len(client.recv(2000, socket.MSG_PEEK)) < 1000:
    pass
line = row(client, "-tin")
print("client", line.split()[:3], re.findall(r"bytes_received:\d+|\bcubic\b", line))
print("server", row(server, "-tin").split()[:3], re.findall(r"bytes_acked:\d+", row(server, "-tin")))
rtt = re.search(r" rtt:([\d.]+)/", line)
assert rtt and float(rtt[1]) < 1000, line
# One that nobody has accepted is nobody's.
print("unaccepted", [r[2].split()[0] for r in ss("-tnp") if r[1] == at(waiting.getsockname()) and "users" not in r[2]])

six = socket.create_server(("::1", 0), family=socket.AF_INET6)
both = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
only = socket.create_server(("::", 0), family=socket.AF_INET6)
mapped = socket.create_connection(("127.0.0.1", both.getsockname()[1]))
took, _ = both.accept()
print("IPv6", row(six, "-tln", peer="[::]:*").split()[0])
port = lambda s: s.getsockname()[1]
print("families", [[r[0] == f"*:{port(both)}" for r in ss("-tln") if r[0].endswith(f":{port(both)}")],
                   [r[0] == f"[::]:{port(only)}" for r in ss("-tln") if r[0].endswith(f":{port(only)}")]])
print("mapped", row(took, "-tn").split()[0], took.getpeername()[0])
print("of IPv4", len(ss("-t4an")), "of IPv6", len(ss("-t6an")))

bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.bind(("0.0.0.0", 0))
joined = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
joined.connect(("127.0.0.1", bound.getsockname()[1]))
joined.send(b"y" * 300)
while len(bound.recv(500, socket.MSG_PEEK)) < 300:
    pass
print("bound", row(bound, "-uan", peer="0.0.0.0:*").split()[:3])
print("joined", row(joined, "-uan").split()[:3])

p = listener.getsockname()[1]
def count(*args):
    return len(subprocess.run(["ss", "-HO", *args], check=True, capture_output=True, text=True).stdout.splitlines())
print("filtered", [count(*f) for f in (("-tan", "sport", "=", f":{p}"), ("-tan", "dport", "=", f":{p}"), ("-tan", "dst", "127.0.0.1"),
                                         ("-tn", "state", "established"), ("-tan", "state", "close-wait"))])
client.shutdown(socket.SHUT_WR)
while row(server, "-tan").split()[0] != "CLOSE-WAIT":
    time.sleep(0.01)
print("half closed", row(client, "-tan").split()[0], row(server, "-tan").split()[0])
where = at(client.getsockname())
server.close()
client.recv(2000), client.close()
while not (rows := [r[2].split()[0] for r in ss("-tan") if r[0] == where]) or rows[0] != "TIME-WAIT":
    time.sleep(0.01)
print("closed", rows)
a, b = socket.socketpair()
rows = [r for r in ss("-xp") if f"pid={ME},fd={a.fileno()})" in r[2]]
print("AF_UNIX", len(rows))
d = os.dup(bound.fileno())
child = os.fork()
if child == 0:
    while os.getppid() == ME:
        time.sleep(0.01)
    os._exit(0)
line = [r[2] for r in ss("-uanp") if r[0] == at(bound.getsockname())][0]
print("shared", f"pid={ME},fd={d})" in line, f"pid={child},fd={d})" in line, f"pid={child},fd={bound.fileno()})" in line)
os.kill(child, 9)
os.wait()
