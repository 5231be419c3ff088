"""fewfiles PORT - echoes streams, as many as its descriptors allow."""
import errno, selectors, socket, sys

ready = selectors.DefaultSelector()
l = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=1000)
l.setblocking(False)
ready.register(l, selectors.EVENT_READ)
print('ready', flush=True)
while True:
    for key, _ in ready.select():
        s = key.fileobj
        if s is l:
            try:
                c, _ = l.accept()
            except OSError as e:
                if e.errno not in (errno.EMFILE, errno.ENOBUFS, errno.EAGAIN):
                    raise
                continue
            ready.register(c, selectors.EVENT_READ)
            continue
        try:
            b = s.recv(100)
            s.sendall(b)
        except OSError:
            b = b''
        if not b:
            ready.unregister(s)
            s.close()
