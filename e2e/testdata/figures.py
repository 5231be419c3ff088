# A connection that carries a megabyte over a way that may lose some of it, and what TCP_INFO says of both ends when all is quiet.
import json
import socket
import struct
import sys
import threading
import time

SIZE = 1 << 20
NAMES = {"total_retrans": ("I", 100), "bytes_acked": ("Q", 120), "bytes_received": ("Q", 128), "segs_out": ("I", 136), "segs_in": ("I", 140),
         "data_segs_in": ("I", 152), "data_segs_out": ("I", 156), "bytes_sent": ("Q", 200), "bytes_retrans": ("Q", 208)}


def info(s):
    b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
    return {name: struct.unpack_from(kind, b, at)[0] for name, (kind, at) in NAMES.items()}


l = socket.create_server(("127.0.0.1", 8000))
c = socket.create_connection(("127.0.0.1", 8000))
s, _ = l.accept()


def drain():
    left = SIZE
    while left:
        left -= len(s.recv(1 << 16))
    s.sendall(b"x" * 3000)


t = threading.Thread(target=drain)
t.start()
c.sendall(bytes(SIZE))
got = 0
while got < 3000:
    got += len(c.recv(3000))
t.join()
was = None
# All is acknowledged, of what has connected the SYN, too; and what else is under way has come.
while (now := (info(c), info(s))) != was or now[0]["bytes_acked"] <= SIZE or now[1]["bytes_acked"] < 3000:
    was = now
    time.sleep(0.3)
print(json.dumps({"at": time.time(), "port": c.getsockname()[1], "client": now[0], "server": now[1]}), flush=True)
sys.stdin.readline()
