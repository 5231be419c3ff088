# Holds what ip(8), netlink and ioctl tell of interfaces and routes against what sockets find:
# the arguments are an address outside of the run, and those that are the machine's alone.
import fcntl, json, socket, struct, subprocess, sys


def ip(*args):
    return json.loads(subprocess.run(["ip", "-j", *args], check=True, capture_output=True).stdout)


def bound(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        try:
            s.bind((address, 0))
        except OSError as e:
            return e.strerror
        return s.getsockname()[0] == address


def source(to):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((to, 9))
        return s.getsockname()[0]


outside, others = sys.argv[1:3], sys.argv[3:]
own = []
for i in ip("addr"):
    assert socket.if_nametoindex(i["ifname"]) == i["ifindex"] and socket.if_indextoname(i["ifindex"]) == i["ifname"]
    for a in i["addr_info"]:
        own.append(a["local"])
        print(i["ifname"], i["ifindex"], f"{a['local']}/{a['prefixlen']}", bound(a["local"]))
    with socket.socket() as s:
        mtu = struct.unpack_from("i", fcntl.ioctl(s, 0x8921, struct.pack("16s24x", i["ifname"].encode())), 16)[0]
        assert mtu == i["mtu"], (mtu, i)
assert [(i["ifindex"], i["ifname"]) for i in ip("link")] == socket.if_nameindex()
for a in others:
    print(a, bound(a), a in own)
for a in own + outside:
    r = ip("route", "get", a)[0]
    assert r["prefsrc"] == source(a), (a, r, source(a))
    if a in outside:
        default = [x for x in ip("-6" if ":" in a else "-4", "route") if x["dst"] == "default"]
        assert len(default) == 1 and default[0]["gateway"] == r["gateway"] and default[0]["dev"] == r["dev"], (r, default)
        print("to the outside", r["prefsrc"], r["dev"], r["gateway"])
# Counters count: a datagram to oneself is one packet each way.
def carried(name):
    stats = [i for i in ip("-s", "link") if i["ifname"] == name][0]["stats64"]
    return [stats[d][k] for d in ("rx", "tx") for k in ("packets", "bytes")]
before = carried("lo")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
    a.bind(("127.0.0.1", 0))
    b.sendto(b"x" * 72, a.getsockname())
    a.recv(100)
print("carried", [y - x for x, y in zip(before, carried("lo"))])
