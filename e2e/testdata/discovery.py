# What SSDP and mDNS programs do: a group joined without an interface, a question to it from a
# socket that named none, the answer to who asked, or to all. What it prints is the same on
# every system whose default route leads over one interface.
import os, select, socket, struct

ANY = socket.inet_aton("0.0.0.0")

def member(group, port, **options):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("", port))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + ANY)
    s.settimeout(5)
    return s

def forked(f):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        f(w)
        os._exit(0)
    os.close(w)
    os.read(r, 1)  # ready
    return pid

# SSDP: a device answers a search by unicast.
def device(ready):
    s = member("239.255.255.250", 1900)
    os.write(ready, b".")
    m, who = s.recvfrom(2000)
    s.sendto(b"HTTP/1.1 200 OK\r\nST: " + m.split(b"\r\nST: ")[1].split(b"\r\n")[0] + b"\r\n\r\n", who)

pid = forked(device)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
s.settimeout(5)
s.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n', ("239.255.255.250", 1900))
m, who = s.recvfrom(2000)
print("ssdp", m, who[1], who[0] not in ("0.0.0.0", "127.0.0.1"))
os.waitpid(pid, 0)

# mDNS: all who are in the group hear questions and answers, the one who asks included.
NAME = b"\x07printer\x05local\x00"
def responder(ready):
    s = member("224.0.0.251", 5353)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    os.write(ready, b".")
    while True:
        m, who = s.recvfrom(2000)
        if m[2] & 0x80 == 0:
            s.sendto(m[:2] + b"\x84\0\0\0\0\1\0\0\0\0" + NAME + struct.pack(">HHIH", 1, 0x8001, 120, 4) + socket.inet_aton("192.0.2.99"), ("224.0.0.251", 5353))
            return

pids = [forked(responder)]
q = member("224.0.0.251", 5353)
q.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
q.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
q.sendto(b"\0\0\0\0\0\1\0\0\0\0\0\0" + NAME + b"\0\1\0\1", ("224.0.0.251", 5353))
for _ in range(2):
    m, control, flags, who = q.recvmsg(2000, 100)
    print("mdns", "answer" if m[2] & 0x80 else "question", m[-4:], who[1], [struct.unpack("@i", d)[0] for _, _, d in control])
for p in pids:
    os.waitpid(p, 0)

# Who has left hears nothing more, and one who wants no copies of its own has none.
q.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
q.sendto(b"unheard", ("224.0.0.251", 5353))
print("copies", len(select.select([q], [], [], 0.3)[0]))
q.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
q.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, socket.inet_aton("224.0.0.251") + ANY)
q.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
q.sendto(b"unheard", ("224.0.0.251", 5353))
print("left", len(select.select([q], [], [], 0.3)[0]))
