"""Runs usock on a terminal: what is typed reaches the program once, and jobs stop
and go on. Its argument is the command that runs a program."""
import os
import pty
import select
import sys
import time

RUN = sys.argv[1:]


def session(command, *talk):
    """Waits for each text in turn and types what follows it; returns the rest of the
    output and the exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["PS1"] = "prompt> "
        os.execvp(command[0], command)
    out = b""

    def read():
        if not select.select([fd], [], [], 20)[0]:
            raise SystemExit("nothing more after %r" % out)
        try:
            return os.read(fd, 1000)
        except OSError:
            return b""

    for text, keys in talk:
        while text not in out:
            data = read()
            if not data:
                raise SystemExit("no %r in %r" % (text, out))
            out += data
        out = out.split(text, 1)[1]
        os.write(fd, keys)
    while data := read():
        out += data
    return out, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


out, status = session(RUN + ["sh", "-c", "trap 'echo caught; n=$n.' INT; echo ready; while [ ${#n} -lt 1 ]; do sleep 0.05; done; sleep 0.3; exit ${#n}"],
                      (b"ready", b"\x03"))
assert status == 1 and out.count(b"caught") == 1, (out, status)
out, status = session(RUN + ["sh", "-c", "echo ready; exec sleep 100"], (b"ready", b"\x03"))
assert status == -2, (out, status)
out, status = session(["sh", "-i"], (b"prompt> ", b" ".join(w.encode() for w in RUN) + b" sh -c 'echo rea\"\"dy; sleep 1; exit 7'\n"),
                      (b"ready", b"\x1a"), (b"Stopped", b"fg\n"), (b"prompt> ", b"echo status=$?; exit\n"))
assert b"status=7" in out, (out, status)
print("the terminal works")
