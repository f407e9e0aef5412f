"""A relay between unmodified clients and the gateway that keeps what they said to each other, for `make conformance`.

It hands on bytes as they come, streams included, and hangs up when the client does. One line of JSON an exchange, in the
shape tests/openai/exchange.rs writes.
"""

import http.client
import http.server
import json
import threading

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Relay(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream, file):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.file, self.lock = upstream, file, threading.Lock()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, address):
        """A client that left is no error; anything else shows in the client."""

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def keep(self, exchange):
        with self.lock, self.file.open("a") as file:
            file.write(json.dumps(exchange) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        sent = self.body()
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=300)
        told = bytearray()
        status = 0
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            upstream.request(self.command, self.path, sent, headers)
            response = upstream.getresponse()
            status = response.status
            self.hand_on(response, told)
        finally:
            upstream.close()
            self.server.keep({"method": self.command, "path": self.path, "sent": sent.decode(), "status": status,
                              "told": told.decode(errors="replace")})

    do_GET = do_POST

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def hand_on(self, response, told):
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := response.read1(65536):
            told += piece
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
