"""
In front of the stub apiserver: honest until told to lie. What it says then is any bytes at all,
below HTTP too.

    with Liar(stub) as liar:                # Stub(tls=False)
        stub.kubeconfig(path, **liar.access)
        liar.lie(b"HTTP/1.1 200 OK\\r\\n...")    # to lists of services, instead of an answer; or an
                                            # iterable of bytes, or a function of the query
                                            # (which may return None: the truth)
        liar.lie(..., verb="watch")         # to watches
        liar.lies                           # how many were told
        liar.heal()

For a lie about lists the stub forgets its history, or nobody would ask for one; for one about
watches it ends those that run.
"""

import contextlib
import socket
import ssl
import threading
import urllib.parse


def response(body, content_type="application/json", status="200 OK", headers=()):
    """A whole response, as one that knows how does it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}",
             f"Content-Length: {len(body)}", *headers, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def head(*headers, content_type="application/json"):
    return "\r\n".join(
        ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", *headers, "", ""]
    ).encode()


class Liar:
    def __init__(self, stub, host="127.0.0.1"):
        self.stub = stub
        self.lies, self.told, self.verb = 0, None, None
        self.sockets = set()
        stub.make_certificates()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(stub.file("server.crt"), stub.file("server.key"))
        self.listener = socket.create_server((host, 0))
        self.url = f"https://{host}:{self.listener.getsockname()[1]}"
        self.access = {"server": self.url, "certificate_authority": stub.ca_file}
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        for s in list(self.sockets):
            with contextlib.suppress(OSError):
                # Of the descriptor: SSLSocket.shutdown() waits for a writer.
                socket.socket.shutdown(s, socket.SHUT_RDWR)

    def lie(self, what, verb="list"):
        self.told, self.verb, self.lies = what, verb, 0
        if verb == "list":
            self.stub.expire()
        self.stub.end_watches()

    def heal(self):
        self.told = None

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError, ValueError):
            client = self.context.wrap_socket(client, server_side=True)
            self.sockets.add(client)
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                more = client.recv(65536)
                if not more:
                    raise ValueError("no request")
                request += more
            answer = self.answer(request.split(b" ")[1].decode())
            if answer is None:
                self.pass_on(request, client)
            else:
                for part in [answer] if isinstance(answer, bytes) else answer:
                    client.sendall(part)
        self.sockets.discard(client)
        with contextlib.suppress(OSError, ValueError):
            socket.socket.shutdown(client, socket.SHUT_RDWR)
        client.close()

    def answer(self, path):
        """What to say instead of the truth; None: nothing."""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        verb = "watch" if "watch" in query else "list"
        if self.told is None or url.path != "/api/v1/services":
            return None
        if verb == self.verb and "sendInitialEvents" not in query:
            self.lies += 1
            return self.told(query) if callable(self.told) else self.told
        if "sendInitialEvents" not in query:
            return None
        return response(b"{}", status="422 Unprocessable Entity")  # it must ask for a list

    def pass_on(self, request, client):
        """One request a connection."""
        with socket.create_connection(("127.0.0.1", self.stub.port)) as server:
            self.sockets.add(server)
            server.sendall(request[:-2] + b"Connection: close\r\n\r\n")
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    client.sendall(data)
            self.sockets.discard(server)
