"""A web server that takes what --notify posts: hook.received is [(path, content type, document)]."""

import http.server
import json
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *unused):
        pass


def make_hook(test, status=200):
    """(hook, its address), until the test ends; every answer has that status."""
    hook = http.server.HTTPServer(("127.0.0.1", 0), _Handler)
    hook.received, hook.status = [], status
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    test.addCleanup(hook.server_close)
    test.addCleanup(hook.shutdown)
    return hook, "http://127.0.0.1:%d/services/T0/SECRET" % hook.server_port
