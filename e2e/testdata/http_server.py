"""http.server with a thread a request, and urllib as its client."""
import http.server
import threading
import urllib.error
import urllib.request

BODY = b"page\n" * 2000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://localhost:%d/" % server.server_port
pages = 0
for _ in range(50):
    with urllib.request.urlopen(url, timeout=20) as page:
        assert page.read() == BODY
        pages += 1
server.shutdown()
server.server_close()
try:
    urllib.request.urlopen(url, timeout=20)
except urllib.error.URLError as e:
    assert isinstance(e.reason, ConnectionRefusedError), e
else:
    raise SystemExit("the closed server answered")
print(pages, "pages")
