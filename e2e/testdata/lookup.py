"""lookup prints the addresses of each name, or the names of each address."""
import ipaddress
import socket
import sys

for arg in sys.argv[1:]:
    try:
        try:
            ipaddress.ip_address(arg)
            found = [socket.gethostbyaddr(arg)[0]]
        except ValueError:
            found = [a[4][0] for a in socket.getaddrinfo(arg, 80, type=socket.SOCK_STREAM)]
        for f in found:
            print(f"{arg}: {f}")
    except OSError as e:
        print(f"{arg}: {type(e).__name__} {e}")
