# A program with sockets of all kinds, which does what it is told on stdin.
import json
import os
import socket
import struct
import subprocess
import sys
import time

LOOP = "127.0.0.1"


def say(text):
    print(text, flush=True)


def info(s):
    """What TCP_INFO says, by the names of struct tcp_info."""
    b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    at = {"snd_mss": 16, "rcv_mss": 20, "pmtu": 60, "rtt": 68, "rttvar": 72, "snd_ssthresh": 76, "snd_cwnd": 80,
          "advmss": 84, "total_retrans": 100, "segs_out": 136, "segs_in": 140, "min_rtt": 148, "data_segs_out": 156}
    out = {name: struct.unpack_from("I", b, off)[0] for name, off in at.items()}
    out |= {name: struct.unpack_from("Q", b, off)[0] for name, off in {"bytes_acked": 120, "bytes_received": 128}.items()}
    return out


def ask_run(where):
    """Connect to a control socket as a program that knows where it is."""
    got = {}
    for name, path in (("absolute", where), ("relative", os.path.basename(where))):
        os.chdir(os.path.dirname(where))
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            got[name] = json.loads(s.makefile().readline()).get("error", {}).get("code", "served")
        except OSError as e:
            got[name] = e.strerror
    # Whoever has connected is gone when the socket is looked at.
    s = socket.socket(socket.AF_UNIX)
    pid = os.fork()
    if pid == 0:
        s.connect(os.path.basename(where))
        os._exit(0)
    os.waitpid(pid, 0)
    got["by a child"] = json.loads(s.makefile().readline()).get("error", {}).get("code", "served")
    return got


l = socket.create_server((LOOP, 8000), backlog=7)
c = socket.create_connection((LOOP, 8000))
a, _ = l.accept()
six = socket.create_server(("::", 8081), family=socket.AF_INET6, dualstack_ipv6=True)
only = socket.create_server(("::1", 8082), family=socket.AF_INET6)
d = socket.create_connection(("::1", 8081))
d.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
pong = None  # the other end of d
e = socket.create_connection((LOOP, 8081))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("0.0.0.0", 5300))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.connect((LOOP, 5300))
c.sendall(b"x" * 5000)
left = 5000
while left > 0:
    left -= len(a.recv(left))
c.sendall(b"y" * 300)  # which nobody reads
assert len(a.recv(300, socket.MSG_PEEK)) > 0

say("ready")
for line in sys.stdin:
    words = line.split()
    if words[0] == "trip":
        pong = pong or six.accept()[0]
        begun = time.monotonic()
        d.sendall(b"?")
        pong.recv(1)
        pong.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pong.sendall(b"!")
        d.recv(1)
        say(json.dumps(time.monotonic() - begun))
    elif words[0] == "pid":
        say(json.dumps([os.getpid(), c.fileno(), l.fileno()]))
    elif words[0] == "info":
        say(json.dumps(info(c)))
    elif words[0] == "ss":
        say(json.dumps(subprocess.run(["ss"] + words[1:], capture_output=True, text=True, check=True).stdout))
    elif words[0] == "ask":
        say(json.dumps(ask_run(words[1])))
    elif words[0] == "pretend":  # to be a run
        fake = socket.socket(socket.AF_UNIX)
        os.chdir(words[1])
        fake.bind("0000aaaa")
        fake.listen()
        say(json.dumps("done"))
    elif words[0] == "close":  # sockets of which the kernel does not tell that they are closed
        for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
            for port in range(9000, 9020):
                with socket.socket(type=kind) as s:
                    s.bind((LOOP, port))
                    if kind == socket.SOCK_STREAM:
                        s.listen()
        say(json.dumps("done"))
    elif words[0] == "talk":  # a connection from its beginning to its end
        try:
            with socket.create_connection((LOOP, 8000)) as x, l.accept()[0] as y:
                x.sendall(b"hello")
                assert y.recv(5, socket.MSG_WAITALL) == b"hello"
                x.close()
                assert y.recv(1) == b""
            say(json.dumps("done"))
        except OSError as error:
            say(json.dumps(error.strerror))
