"""Messages with a peer outside, which has SCTP in UDP.

    sctpencap.py ask ADDR PORT [UDP]    send messages and compare what comes back; with UDP the program itself
                                        asks for the encapsulation
    sctpencap.py serve ADDR PORT        echo what one association sends
"""
import socket
import struct
import sys

SOL_SCTP = 132
SCTP_SNDINFO, SCTP_RCVINFO = 2, 3
SCTP_RECVRCVINFO, SCTP_REMOTE_UDP_ENCAPS_PORT = 32, 132
SNDINFO = "HHIIi"
MSG_EOR = 0x80


def opened(addr):
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    s.setsockopt(SOL_SCTP, SCTP_RECVRCVINFO, 1)
    s.settimeout(15)
    return s


def hear(s):
    """Returns a message, its stream and its PPID."""
    data, stream, ppid = b"", None, None
    while True:
        part, control, flags, _ = s.recvmsg(1 << 17, 256)
        for level, kind, value in control:
            if (level, kind) == (SOL_SCTP, SCTP_RCVINFO):
                stream, _, _, ppid = struct.unpack_from("HHHxxI", value)
        data += part
        if not part or flags & MSG_EOR:
            return data, stream, ppid


def say(s, data, stream, ppid):
    s.sendmsg([data], [(SOL_SCTP, SCTP_SNDINFO, struct.pack(SNDINFO, stream, 0, ppid, 0, 0))])


def ask(addr, port, udp=None):
    s = opened(addr)
    if udp:
        s.setsockopt(SOL_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, struct.pack("=i4x128x", 0) + struct.pack(">H6x", int(udp)))
    try:
        s.connect((addr, int(port)))
    except OSError as e:
        print("connect:", e.strerror)
        return
    sent = [(bytes([65 + i]) * n, i % 3, 100 + i) for i, n in enumerate([1, 100, 1400, 5000, 30000, 60000, 7])]
    for m in sent:
        say(s, *m)
    heard = [hear(s) for _ in sent]
    # In order on each stream, that is.
    print("came back:", sorted(heard, key=lambda m: m[1]) == sorted(sent, key=lambda m: m[1]))
    used = bytearray(s.getsockopt(SOL_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, 144))
    print("port", struct.unpack_from(">H", used, 136)[0])
    s.close()


def serve(addr, port):
    l = opened(addr)
    l.bind((addr, int(port)))
    l.listen(1)
    print("listening", flush=True)
    s, _ = l.accept()
    s.setsockopt(SOL_SCTP, SCTP_RECVRCVINFO, 1)
    s.settimeout(15)
    count = 0
    while True:
        m = hear(s)
        if not m[0]:
            break
        say(s, *m)
        count += 1
    print("echoed", count)


globals()[sys.argv[1]](*sys.argv[2:])
