"""Waits for what never comes: the supervisor is killed meanwhile."""
import select
import socket
import sys

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
print("ready", flush=True)
how = sys.argv[1]
if how == "recv":
    while client.recv(10):
        pass
elif how == "accept":
    listener.accept()
elif how == "epoll":
    e = select.epoll()
    e.register(listener, select.EPOLLIN)
    e.poll()
elif how == "connect":
    while True:
        socket.create_connection(listener.getsockname()).close()
        listener.accept()[0].close()
