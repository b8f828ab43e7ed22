# SPDX-License-Identifier: Apache-2.0
"""HTTP hosts of services with routes: l7_hosts.py ADDRESS PORT NAME [ADDRESS PORT NAME]...

GET is answered with "NAME CLIENT HOST HOW": the address that the request comes from, its Host, and whether it came through
the proxy ("proxied" or "direct"); POST with the length of its body, the body's hash, and the body. Says "ready".
"""
import hashlib, http.server, socket, socketserver, sys, threading


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Six(Server):
    address_family = socket.AF_INET6


def serve(address, port, name):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, body):
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            how = "proxied" if self.headers["x-request-id"] else "direct"
            self.answer(f"{name} {self.client_address[0]} {self.headers['host']} {how}\n".encode())

        def do_POST(self):
            got = self.rfile.read(int(self.headers["content-length"]))
            self.answer(f"{len(got)} {hashlib.sha256(got).hexdigest()}\n".encode() + got)

        def log_message(self, *args):
            pass
    s = (Six if ":" in address else Server)((address, port), Handler)
    threading.Thread(target=s.serve_forever, daemon=True).start()


for i in range(1, len(sys.argv), 3):
    serve(sys.argv[i], int(sys.argv[i + 1]), sys.argv[i + 2])
print("ready", flush=True)
threading.Event().wait()
