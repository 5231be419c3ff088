# How a stream is cut into packets: TCP_CORK and MSG_MORE hold back what is not a full one.
import socket, select, struct

MORE = socket.MSG_MORE
with socket.create_server(("127.0.0.1", 0)) as l:
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

def cork(on):
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)
    print("cork", c.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))

def held():
    p = select.poll()
    p.register(s, select.POLLIN)
    print("held back" if not p.poll(30) else "there")

def comes(n):
    data = b""
    while len(data) < n:
        data += s.recv(n - len(data))
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    print(data[:20], struct.unpack_from("I", info, 152)[0], "segments")

c.send(b"before")
cork(1)
comes(6)
c.send(b"header ")
held()
c.send(b"body")
held()
cork(0)
comes(11)
c.send(b"more ", MORE)
held()
c.sendmsg([b"and ", b"more "], [], MORE)
held()
c.send(b"done")
comes(18)
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
