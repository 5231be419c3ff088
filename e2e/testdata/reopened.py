"""A closed listener refuses at once, and its port is free at once."""
import select
import socket

for _ in range(100):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 4000))
    listener.listen(5)
    client = socket.create_connection(("127.0.0.1", 4000))
    server, _ = listener.accept()
    client.close()
    server.close()
    listener.close()
    for blocking in (True, False):
        with socket.socket() as s:
            s.setblocking(blocking)
            r = s.connect_ex(("127.0.0.1", 4000))
            if r == 115:
                select.select([], [s], [], 10)
                r = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert r == 111, r
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 4000))
print("refused and free")
