"""Many connections at once, in a process of its own because of its descriptors.

many.py serve PORT           echoes lines; says "ready"
many.py connect ADDR PORT N  opens N, has a line echoed by each, and says so; again for each line
"""
import resource
import select
import socket
import sys


def serve(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections = {}
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                try:
                    while True:
                        c, _ = listener.accept()
                        connections[c.fileno()] = c
                        poll.register(c, select.EPOLLIN)
                except BlockingIOError:
                    continue
            c = connections[fd]
            try:
                data = c.recv(100)
            except OSError:
                data = b""
            if data:
                c.send(data)
            else:
                poll.unregister(fd)
                del connections[fd]
                c.close()


def echoed(connections):
    for c in connections:
        c.send(b"hello")
    return sum(c.recv(100) == b"hello" for c in connections)


def connect(address, port, count):
    connections = []
    for _ in range(count):
        c = socket.socket()
        c.settimeout(30)
        c.connect((address, port))
        connections.append(c)
        if len(connections) % 100 == 0:
            echoed(connections[-100:])  # no faster than they are served
    print("%d open" % echoed(connections), flush=True)
    for line in sys.stdin:
        print("%d %s" % (echoed(connections), line.strip()), flush=True)


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    connect(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
