# What rules do to a program's packets, as the program sees it. The first argument says what it does.
import os, socket, sys, threading, time

def echo_udp(s):
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data, peer)

def echo_tcp(l):
    while True:
        c, _ = l.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()

def serve(c):
    while data := c.recv(2048):
        c.sendall(data)
    c.close()

def servers(host='127.0.0.1'):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((host, 0))
    l = socket.create_server((host, 0))
    threading.Thread(target=echo_udp, args=(u,), daemon=True).start()
    threading.Thread(target=echo_tcp, args=(l,), daemon=True).start()
    return u.getsockname(), l.getsockname()

# How long an exchange takes, in words: a rule's delay is 200 ms each way. A busy machine's is not there each time.
def took(f):
    for _ in range(3):
        begun = time.monotonic()
        f()
        if time.monotonic() - begun < 0.4:
            return 'soon'
    return 'late'

def ask_udp(to):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b'x', to)
    s.recvfrom(10)

def ask_tcp(to):
    with socket.create_connection(to) as c:
        c.sendall(b'x')
        c.recv(10)

def echo():
    u, l = servers()
    print('udp', took(lambda: ask_udp(u)))
    print('tcp', took(lambda: ask_tcp(l)))

# A server that other processes ask, whose port goes to a file.
def serve_at(file):
    u, l = servers()
    with open(file + '.new', 'w') as f:
        f.write(str(l[1]))
    os.rename(file + '.new', file)
    threading.Event().wait()

def ask(port):
    print(took(lambda: ask_tcp(('127.0.0.1', int(port)))))

# Connections one after the other, of which some come to nothing.
def several(n):
    u, l = servers()
    for i in range(int(n)):
        with socket.socket() as c:
            c.settimeout(2)
            try:
                c.connect(l)
                print(i + 1, 'is there')
            except TimeoutError:
                print(i + 1, 'timed out')

# Datagrams, one each 10 ms, for a time.
def tick(seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 0))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        s.sendto(b'x', s.getsockname())
        time.sleep(0.01)

# A server's address before and after its name has been asked for.
def named(name, addr, port):
    to = (addr, int(port))
    connect = lambda: socket.create_connection(to).close()
    print('before', took(connect))
    socket.getaddrinfo(name, port)
    print('after', took(connect))

globals()[sys.argv[1]](*sys.argv[2:])
