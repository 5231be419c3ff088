# A server and a client of its own, which say what they meet: see faults_test.go.
#
#	faults.py PORT up|down BYTES    a connection over which the client sends, or the server
#	faults.py name NAME             the addresses of a name
import errno, os, socket, sys, threading, time

def name(e):
    return errno.errorcode.get(e.errno, str(e))

def late(began):
    return " late" if time.monotonic() - began > 0.25 else ""

def receive(s, n):
    said, got = [], 0
    while got < n:
        began = time.monotonic()
        try:
            b = s.recv(65536)
        except OSError as e:
            return said + [name(e)]
        if not b:
            return said + ["EOF"]
        got += len(b)
        said.append(str(len(b)) + late(began))
    return said

def send(s, n):
    try:
        s.sendall(bytes(n))
    except OSError as e:
        return [name(e)]
    return receive(s, 1)

def serve(listener, up, n, said):
    while True:
        try:
            s, _ = listener.accept()
            break
        except OSError as e:
            said.append(name(e))
    said += receive(s, n) if up else send(s, n)
    s.close()

def transfer(port, up, n):
    listener, said = socket.create_server(("127.0.0.1", port)), []
    t = threading.Thread(target=serve, args=(listener, up, n, said), daemon=True)
    t.start()
    c, began = socket.socket(), time.monotonic()
    try:
        c.connect(("127.0.0.1", port))
    except OSError as e:
        return "connect: " + name(e) + late(began)
    connected = late(began)
    client = send(c, n) if up else receive(c, n)
    c.close()
    t.join()
    return "server: " + " ".join(said) + "; client:" + connected + " " + " ".join(client)

try:
    if sys.argv[1] == "name":
        began = time.monotonic()
        list = socket.getaddrinfo(sys.argv[2], 80, type=socket.SOCK_STREAM)
        print(" ".join(x[4][0] for x in list) + late(began))
    else:
        print(transfer(int(sys.argv[1]), sys.argv[2] == "up", int(sys.argv[3])))
except socket.gaierror as e:
    print({socket.EAI_NONAME: "EAI_NONAME", socket.EAI_AGAIN: "EAI_AGAIN", socket.EAI_NODATA: "EAI_NODATA"}.get(e.errno, e))
except OSError as e:
    print(name(e))
sys.stdout.flush()
os._exit(0)  # with a server that nobody has reached
