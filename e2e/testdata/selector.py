"""An echo server around select, poll or epoll."""
import selectors
import socket
import sys
import threading

SELECTOR = {
    "select": selectors.SelectSelector,
    "poll": selectors.PollSelector,
    "epoll": selectors.EpollSelector,
}[sys.argv[1]]
CLIENTS, SIZE = 20, 100000


def client(address):
    with socket.create_connection(address) as c:
        c.sendall(b"x" * SIZE)
        c.shutdown(socket.SHUT_WR)
        n = 0
        while data := c.recv(65536):
            n += len(data)
        assert n == SIZE, n


class Connection:
    def __init__(self, sock):
        self.sock, self.data, self.ended = sock, b"", False
        sock.setblocking(False)


def serve(listener, selector):
    done = 0
    while done < CLIENTS:
        for key, events in selector.select(20):
            if key.fileobj is listener:
                sock, _ = listener.accept()
                selector.register(sock, selectors.EVENT_READ, Connection(sock))
                continue
            c = key.data
            if events & selectors.EVENT_READ:
                data = c.sock.recv(65536)
                c.data += data
                c.ended = not data
            if events & selectors.EVENT_WRITE and c.data:
                c.data = c.data[c.sock.send(c.data):]
            if c.ended and not c.data:
                selector.unregister(c.sock)
                c.sock.close()
                done += 1
                continue
            want = (0 if c.ended else selectors.EVENT_READ) | (selectors.EVENT_WRITE if c.data else 0)
            selector.modify(c.sock, want, c)


listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
listener.setblocking(False)
selector = SELECTOR()
selector.register(listener, selectors.EVENT_READ)
threads = [threading.Thread(target=client, args=(listener.getsockname(),)) for _ in range(CLIENTS)]
for t in threads:
    t.start()
serve(listener, selector)
for t in threads:
    t.join()
print(CLIENTS, "clients")
