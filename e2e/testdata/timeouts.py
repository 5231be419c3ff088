"""Timeouts and signals of calls that wait."""
import signal
import socket
import struct
import threading
import time


class Alarm(Exception):
    pass


def alarm(*_):
    raise Alarm


def lasts(least, f, error):
    start = time.monotonic()
    try:
        f()
    except error:
        pass
    else:
        raise SystemExit("%r did not fail with %r" % (f, error))
    took = time.monotonic() - start
    assert least - 0.01 <= took < least + 5, took


listener = socket.create_server(("127.0.0.1", 0))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))

signal.signal(signal.SIGALRM, alarm)
for call in (listener.accept, lambda: datagrams.recvfrom(10)):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    lasts(0.1, call, Alarm)

# A handler that returns: Python calls accept again.
signal.signal(signal.SIGALRM, lambda *_: threading.Thread(target=client).start())


def client():
    with socket.create_connection(listener.getsockname()) as c:
        c.sendall(b"x")


signal.setitimer(signal.ITIMER_REAL, 0.1)
connection, _ = listener.accept()
assert connection.recv(10) == b"x"
assert connection.recv(10) == b""

datagrams.settimeout(0.1)
lasts(0.1, lambda: datagrams.recvfrom(10), TimeoutError)
datagrams.settimeout(None)
for s, call in ((datagrams, lambda: datagrams.recvfrom(10)), (datagrams, lambda: datagrams.recv(10)), (listener, listener.accept)):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 100000))
    lasts(0.1, call, BlockingIOError)
# An accepted socket has its listener's timeout.
thread = threading.Thread(target=client)
thread.start()
connection, _ = listener.accept()
thread.join()
assert connection.recv(10) == b"x" and connection.recv(10) == b""
with socket.create_connection(listener.getsockname()):
    connection, _ = listener.accept()
    connection.settimeout(None)
    lasts(0.1, lambda: connection.recv(10), BlockingIOError)
datagrams.setblocking(False)
lasts(0, lambda: datagrams.recvfrom(10), BlockingIOError)
print("all calls ended as they should")
