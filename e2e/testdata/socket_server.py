"""socketserver, with a thread or a process a client. The clients are a process of
their own: a forked handler must not hold their sockets."""
import os
import socket
import socketserver
import sys
import threading

KIND = {"threading": socketserver.ThreadingTCPServer, "forking": socketserver.ForkingTCPServer}[sys.argv[1]]
CLIENTS = 30


class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


def client(i, port, failed):
    try:
        with socket.create_connection(("127.0.0.1", port)) as c, c.makefile("rwb") as f:
            for j in range(20):
                f.write(b"line %d of %d\n" % (j, i))
                f.flush()
                assert f.readline() == b"LINE %d OF %d\n" % (j, i)
    except Exception as e:
        failed.append(e)


KIND.request_queue_size = CLIENTS
server = KIND(("127.0.0.1", 0), Upper)
port = server.server_address[1]
pid = os.fork()
if pid == 0:
    server.socket.close()
    failed = []
    threads = [threading.Thread(target=client, args=(i, port, failed)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(failed)
    os._exit(1 if failed else 0)
threading.Thread(target=server.serve_forever, daemon=True).start()
_, status = os.waitpid(pid, 0)
server.shutdown()
server.server_close()
if status != 0:
    raise SystemExit("clients failed")
print(CLIENTS, "clients")
