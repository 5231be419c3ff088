# An application server's first words to a signalling gateway by M3UA (RFC 4666): ASP UP, heartbeats of two
# sizes, ASP DOWN, each with its acknowledgement.
import socket
import struct
import time

ASPSM, M3UA, SNDINFO = 3, 3, 2
UP, DOWN, BEAT, UP_ACK, DOWN_ACK, BEAT_ACK = range(1, 7)


def param(tag, value):
    return struct.pack('>HH', tag, 4 + len(value)) + value + bytes(-len(value) % 4)


def connected():
    while True:
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
        try:
            s.connect(('127.0.0.1', 2905))
            return s
        except ConnectionRefusedError:
            s.close()
            time.sleep(0.02)


s = connected()


def asks(kind, params, answer):
    b = struct.pack('>BBBBI', 1, 0, ASPSM, kind, 8 + len(params)) + params
    s.sendmsg([b], [(132, SNDINFO, struct.pack('=HHIIi', 0, 0, socket.htonl(M3UA), 0, 0))])
    while True:
        head = piece(8)
        rest = piece(struct.unpack('>I', head[4:])[0] - 8)
        if tuple(head[2:4]) == (ASPSM, answer):
            return rest


# piece reads a piece of a message, as one does of a stream.
def piece(n):
    b = s.recv(n) if n else b''
    if len(b) != n:
        raise SystemExit('%d bytes of %d' % (len(b), n))
    return b


asks(UP, param(0x11, b'\0\0\0\1'), UP_ACK)
print('up')
for size in 10, 1500:
    data = param(9, b'x' * size)
    print('the same', asks(BEAT, data, BEAT_ACK) == data)
asks(DOWN, b'', DOWN_ACK)
print('down')
