# Datagrams that fill a way: how many bytes of IP come through in each second, after the first datagram.
import socket, sys, threading, time

SIZE, SECONDS = 1472, int(sys.argv[1])  # with their headers, 1,500 bytes
there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
there.bind(("127.0.0.1", 0))
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", 0))
here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
here.settimeout(5)
here.sendto(b"go", there.getsockname())  # so what comes back goes down
_, peer = there.recvfrom(9)

def flood():
    begin, sent = time.monotonic(), 0
    while time.monotonic() - begin < SECONDS + 0.5:
        while sent < 2000 * (time.monotonic() - begin):  # 24 Mbit/s
            there.sendto(bytes(SIZE), peer)
            sent += 1
        time.sleep(0.002)

threading.Thread(target=flood, daemon=True).start()
here.recv(SIZE)
begin = time.monotonic()
seconds = [0] * SECONDS
while True:
    here.recv(SIZE)
    at = int(time.monotonic() - begin)
    if at >= SECONDS:
        break
    seconds[at] += SIZE + 28
print(*seconds)
