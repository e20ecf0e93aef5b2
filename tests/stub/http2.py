"""
HTTP/2 in front of the stub apiserver, which speaks HTTP/1.1: what a real one speaks to us.

    stub = Stub(tls=False)
    with Http2(stub) as h:
        stub.kubeconfig(path, **h.access)
        h.connections               # those that were made, each with .streams (paths) and .open
        h.goaway()                  # "ask elsewhere from now on": streams that run go on
        h.reset()                   # RST_STREAM on every stream that runs
        h.down()                    # connections cut, nobody listens

With python3-h2, as a server that passes each stream on to the stub.
"""

import contextlib
import http.client
import os
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from hyperframe.frame import GoAwayFrame


class Connection:
    def __init__(self, front, sock):
        self.front, self.sock = front, sock
        self.streams = {}  # id: path, of all
        self.open = set()  # ids of those that run
        self.going_away = False
        self.changed = threading.Condition()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )

    def run(self):
        with self.changed:
            self.h2.initiate_connection()
            self.flush()
        while data := self.sock.recv(65536):
            with self.changed:
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.flush()
                self.changed.notify_all()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            if self.going_away:
                self.front.late_streams += 1
            headers = dict(event.headers)
            self.streams[event.stream_id] = headers[":path"]
            self.open.add(event.stream_id)
            threading.Thread(
                target=self.answer, args=(event.stream_id, headers), daemon=True
            ).start()
        elif isinstance(event, h2.events.StreamReset):
            self.open.discard(event.stream_id)

    def answer(self, stream, headers):
        backend = http.client.HTTPConnection("127.0.0.1", self.front.stub.port)
        try:
            plain = {k: v for k, v in headers.items() if not k.startswith(":")}
            backend.request("GET", headers[":path"], headers=plain)
            response = backend.getresponse()
            drop = ("transfer-encoding", "connection", "date", "server")
            back = [(k.lower(), v) for k, v in response.getheaders() if k.lower() not in drop]
            with self.changed:
                self.h2.send_headers(stream, [(":status", str(response.status)), *back])
                self.flush()
            while data := response.read1(16384):
                self.send(stream, data)
            with self.changed:
                if stream in self.open:
                    self.h2.end_stream(stream)
                    self.flush()
        except (OSError, http.client.HTTPException, h2.exceptions.ProtocolError, ValueError):
            pass
        finally:
            backend.close()
            self.open.discard(stream)

    def send(self, stream, data):
        with self.changed:
            while data:
                room = min(
                    self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size
                )
                if stream not in self.open:
                    raise ValueError("reset")
                if room == 0:
                    self.changed.wait(1)
                    continue
                self.h2.send_data(stream, data[:room])
                self.flush()
                data = data[room:]

    def goaway(self):
        # Not h2's close_connection(), which would refuse to send what the streams still have.
        with self.changed:
            self.going_away = True
            frame = GoAwayFrame(0, last_stream_id=max(self.streams, default=0), error_code=0)
            self.sock.sendall(frame.serialize())

    def reset(self):
        with self.changed:
            for stream in list(self.open):
                self.open.discard(stream)
                self.h2.reset_stream(stream, 2)  # INTERNAL_ERROR
            self.flush()

    def cut(self):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Http2:
    def __init__(self, stub, host="127.0.0.1", port=0):
        self.stub = stub
        self.connections = []
        self.late_streams = 0  # begun after GOAWAY
        if not os.path.exists(stub.ca_file):
            stub.make_certificates()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(stub.file("server.crt"), stub.file("server.key"))
        self.context.set_alpn_protocols(["h2"])
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.port = self.listener.getsockname()[1]
        self.access = {
            "server": f"https://{host}:{self.port}",
            "certificate_authority": stub.ca_file,
        }
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.down()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError, ValueError, h2.exceptions.ProtocolError):
            sock = self.context.wrap_socket(sock, server_side=True)
            connection = Connection(self, sock)
            self.connections.append(connection)
            connection.run()
        sock.close()

    def running(self):
        """Paths of the streams that run, with the connection's number."""
        return [
            (i, c.streams[s]) for i, c in enumerate(self.connections) for s in sorted(c.open)
        ]

    def goaway(self):
        for c in self.connections:
            c.goaway()

    def reset(self):
        for c in self.connections:
            c.reset()

    def down(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for c in self.connections:
            c.cut()
