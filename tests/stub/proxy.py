"""
A proxy for tests: HTTP's CONNECT, also over TLS, and SOCKS 5. It hears what a proxy hears.

    with Proxy() as p:                      # Proxy(socks=True); Proxy(context=an SSLContext)
        p.url                               # "http://127.0.0.1:3128"
        p.heard                             # CONNECT: the request's head; SOCKS: "NAME:PORT"
        p.names = {"kubernetes.stub": "127.0.0.1"}      # what it looks up, and nobody else
        p.password = "user:secret"          # 407 or a refusal without it
"""

import base64
import socket
import threading


def read(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise OSError("the client is gone")
        data += more
    return data


class Proxy:
    def __init__(self, socks=False, context=None):
        self.socks, self.context = socks, context
        self.heard, self.names, self.password = [], {}, None
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        scheme = "socks5" if socks else "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        for s in [self.listener, *self.sockets]:
            try:
                socket.socket.shutdown(s, socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            self.sockets.add(client)
            server = (self.greet_socks if self.socks else self.greet_http)(client)
            if server:
                self.sockets.add(server)
                other = threading.Thread(target=self.relay, args=(server, client), daemon=True)
                other.start()
                self.relay(client, server)
        except (OSError, ValueError):
            client.close()

    def connect(self, host, port):
        return socket.create_connection((self.names.get(host, host.strip("[]")), port), 5)

    def greet_http(self, client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read(client, 1)
        self.heard.append(head.decode())
        wanted = self.password and base64.b64encode(self.password.encode()).decode()
        if wanted and f"Proxy-Authorization: Basic {wanted}\r\n" not in self.heard[-1]:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                           b'Proxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n')
            client.close()
            return None
        method, target, _ = self.heard[-1].split(" ", 2)
        if method != "CONNECT":
            raise ValueError(method)
        host, _, port = target.rpartition(":")
        server = self.connect(host, int(port))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return server

    def greet_socks(self, client):
        """RFC 1928, and RFC 1929's password."""
        methods = read(client, read(client, 2)[1])
        method = 2 if self.password else 0
        client.sendall(bytes([5, method if method in methods else 255]))
        if self.password:
            user = read(client, read(client, 2)[1])
            good = user + b":" + read(client, read(client, 1)[0]) == self.password.encode()
            client.sendall(bytes([1, 0 if good else 1]))
        kind = read(client, 4)[3]
        if kind == 3:
            host = read(client, read(client, 1)[0]).decode()
        else:
            family, n = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, read(client, n))
        port = int.from_bytes(read(client, 2), "big")
        self.heard.append(f"{host}:{port}")
        server = self.connect(host, port)
        client.sendall(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        return server

    @staticmethod
    def relay(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            for s in (source, target):
                try:
                    socket.socket.shutdown(s, socket.SHUT_RDWR)
                except OSError:
                    pass
