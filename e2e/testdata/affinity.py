"""A thread may run where it might before, whatever descriptors it was handed."""
import os
import socket
import threading

everywhere = os.sched_getaffinity(0)
listener = socket.create_server(("127.0.0.1", 0))


def exchange(mask):
    """Sockets of all kinds, by a thread that may run on the CPUs of mask."""
    os.sched_setaffinity(0, mask)
    for _ in range(200):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        client = socket.create_connection(listener.getsockname())
        assert os.sched_getaffinity(0) == mask, os.sched_getaffinity(0)
        server, _ = listener.accept()
        assert os.sched_getaffinity(0) == mask, os.sched_getaffinity(0)
        server.close()
        client.close()
    done.append(mask)


done = []
for mask in [everywhere] + [{cpu} for cpu in sorted(everywhere)[:2]]:
    t = threading.Thread(target=exchange, args=(mask,))
    t.start()
    t.join()
    assert os.sched_getaffinity(0) == everywhere
assert len(done) == 1 + min(len(everywhere), 2), done
child = os.fork()
if child == 0:
    os._exit(os.sched_getaffinity(0) != everywhere)
assert os.waitpid(child, 0)[1] == 0
print("no thread was moved")
