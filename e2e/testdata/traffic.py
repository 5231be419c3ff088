"""traffic - sends many kilobytes from itself to itself over loopback: traffic.py [N]."""
import socket
import sys

listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
    client.sendall(bytes(1000))
    assert server.recv(1000, socket.MSG_WAITALL) == bytes(1000)
print('sent', flush=True)
