# How a stream is cut into packets: TCP_CORK and MSG_MORE hold back what is not a full one.
import socket, select, struct, time

MORE = socket.MSG_MORE
with socket.create_server(("127.0.0.1", 0)) as l:
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

WAITS = 0.2  # for so many seconds what is held back is, and then sent all the same

said = []

def say(*words):
    said.append(" ".join(map(str, words)))

def cork(on):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
    say("cork", c.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))

def held():
    p = select.poll()
    p.register(s, select.POLLIN)
    say("held back" if not p.poll(30) else "there")

def segments():
    return struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)[0]

def comes(n):
    data = b""
    while len(data) < n:
        data += s.recv(n - len(data))
    say(data[:20])

# Says what f sees, and how many segments have come: at first, or once more where the machine had other work for so long that
# what was to be held back may have been sent.
def in_time(f):
    n = len(said)
    while True:
        begin, before = time.monotonic(), segments()
        f()
        after = segments()
        if time.monotonic() - begin < WAITS:
            break
        del said[n:]
    print(*said, after - before, "segments", sep="\n")
    said.clear()

def corked():
    cork(1)
    c.send(b"header ")
    held()
    c.send(b"body")
    held()
    cork(0)
    comes(11)

def more():
    c.send(b"more ", MORE)
    held()
    c.sendmsg([b"and ", b"more "], [], MORE)
    held()
    c.send(b"done")
    comes(18)

c.send(b"before")
cork(1)
comes(6)
for f in corked, more:
    in_time(f)
c.send(b"x" * 200000, MORE)
c.send(b"end")
data = 0
while data < 200003:
    data += len(s.recv(65536))
c.send(b"last", MORE)
c.shutdown(socket.SHUT_WR)
print(s.recv(4), s.recv(1))
c.close()
s.close()
