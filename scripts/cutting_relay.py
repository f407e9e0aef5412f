"""A relay in front of an engine that lets the beginning of each stream through and then breaks the connection off."""

import http.client
import http.server
import threading
import urllib.parse

EVENTS = 6


class CuttingRelay(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, url):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = urllib.parse.urlsplit(url)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, address):
        """Broken connections are what it is for."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        upstream = http.client.HTTPConnection(self.server.url.hostname, self.server.url.port, timeout=300)
        upstream.request("POST", self.path, body, {"content-type": "application/json"})
        response = upstream.getresponse()
        self.send_response(response.status)
        self.send_header("content-type", response.headers["content-type"])
        # Longer than what comes, so that its end is a breaking off and not an end.
        self.send_header("content-length", str(1 << 30))
        self.end_headers()
        events = 0
        while events < EVENTS and (line := response.readline()):
            self.wfile.write(line)
            events += line == b"\n"
        self.wfile.flush()
        upstream.close()
