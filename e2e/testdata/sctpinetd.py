"""A server that gives each association to a program of its own, as stdin and stdout (inetd(8)), and clients that see which messages
come back. The programs read in pieces, by read(2) and its kin, and close or splice what they have."""
import os
import socket

SCTP = 132
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
listener.bind(("127.0.0.1", 0))
listener.listen()
print("the lowest number:", listener.fileno())
for program in (["dd", "bs=4", "count=3", "status=none"], ["sh", "-c", "read a; read b; echo $b; echo $a"],
                ["python3", "-c", "import os; os.writev(1, [os.read(0, 3), b'-', os.read(0, 3)]); os.readv(0, [bytearray(2)]); os.write(1, os.read(0, 9))"]):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
    client.connect(listener.getsockname())
    s, _ = listener.accept()
    pid = os.fork()
    if pid == 0:
        os.dup2(s.fileno(), 0)
        os.dup2(s.fileno(), 1)
        os.closerange(3, 1024)
        os.execvp(program[0], program)
    s.close()
    client.send(b"01\n3456789\n" if program[0] == "sh" else b"0123456789")
    got = []
    while data := client.recv(100):
        got.append(data)
    print(program[0], got, os.waitpid(pid, 0)[1])
    client.close()
