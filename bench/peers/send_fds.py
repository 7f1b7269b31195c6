"""Python's socket.send_fds and recv_fds. argv: descriptors, messages. Prints one line of JSON."""
import json
import os
import socket
import sys
import time

BYTES = bytes(64)


def receive(end, messages):
    total = 0
    for _ in range(messages):
        _, fds, _, _ = socket.recv_fds(end, 64, 253)
        total += len(fds)
        for fd in fds:
            os.close(fd)
    end.sendall(total.to_bytes(8, "little"))


def main():
    count, messages = int(sys.argv[1]), int(sys.argv[2])
    left, right = socket.socketpair()
    if os.fork() == 0:
        left.close()
        receive(right, messages)
        os._exit(0)
    right.close()
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    start = time.monotonic()
    for _ in range(messages):
        socket.send_fds(left, [BYTES], fds)
    total = int.from_bytes(left.recv(8), "little")
    seconds = time.monotonic() - start
    print(json.dumps({"seconds": seconds, "rate": messages / seconds, "lost": messages * count - total}))
    os.wait()


main()
