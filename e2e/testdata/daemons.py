"""daemons listen: has the sockets of daemons that look names up, in /run, and closes each
connection, so that nobody waits for an answer.
daemons: connects to them."""
import errno
import os
import select
import socket
import sys

RUN = ["/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/other"]


def connect():
    for path in RUN[:2] + ["/var/run/nscd/socket", "/var/run/./nscd//socket", RUN[2]]:
        s = socket.socket(socket.AF_UNIX)
        e = s.connect_ex(path)
        print(f"{path}: {errno.errorcode[e] if e else 'connected'}")


def listen():
    os.umask(0)
    held = []
    for path in RUN:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(100)
        held.append(s)
    open("/run/listening", "w").close()
    while True:
        for s in select.select(held, [], [])[0]:
            s.accept()[0].close()


if sys.argv[1:] == ["listen"]:
    listen()
else:
    connect()
