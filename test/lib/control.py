# SPDX-License-Identifier: Apache-2.0
"""A control plane for test/plugins/registry_control.c: control.py http|grpc PORT STATE [CERT KEY]

What the file STATE says is sent when it changes, and "ping" every 200 ms, to whoever watches; each ask and answer is a line on
stdout. A file STATE.drain makes a gRPC server say GOAWAY and end. Run it with /usr/bin/python3, whose package grpcio is.
"""
import http.server
import os
import ssl
import sys
import time

KIND, PORT, STATE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CERT = sys.argv[4:6]


def states(alive=lambda: True):
    """One after the other, as the file changes."""
    said, pinged = None, time.monotonic()
    while alive():
        try:
            with open(STATE) as f:
                now = f.read().rstrip("\n")
        except OSError:
            now = said
        if now and now != said:
            said = now
            yield now.encode()
        elif time.monotonic() - pinged > 0.2:
            pinged = time.monotonic()
            yield b"ping"
        time.sleep(0.02)


class Lines(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print("asked", self.path, flush=True)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for s in states():
                line = s + b"\n"
                # In two pieces, so that a line is not what one read brings.
                for piece in (line[:3], line[3:]):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError as e:
            print("gone", e, flush=True)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, sock, who):
        try:
            if CERT:
                c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                c.load_cert_chain(*CERT)
                c.set_alpn_protocols(["http/1.1"])
                sock = c.wrap_socket(sock, server_side=True)
            super().finish_request(sock, who)
        except OSError as e:
            print("failed", e, flush=True)


def serve_http():
    print("ready", flush=True)
    Server(("127.0.0.1", PORT), Lines).serve_forever()


def serve_grpc():
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    from concurrent import futures
    import threading
    import grpc

    def hear(asks):
        try:
            for a in asks:
                print("heard", a.decode(), flush=True)
        except Exception as e:          # the library's, when the call ends
            print("gone", type(e).__name__, flush=True)

    def watch(asks, context):
        print("asked", next(asks).decode(), sorted(k for k, _ in context.invocation_metadata()), flush=True)
        threading.Thread(target=hear, args=(asks,), daemon=True).start()
        yield from states(context.is_active)

    def report(ask, context):
        print("report", ask.decode(), int(context.time_remaining()) <= 60, flush=True)
        return b"thanks"

    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[grpc.method_handlers_generic_handler("weft.test.Control", {
        "Watch": grpc.stream_stream_rpc_method_handler(watch), "Report": grpc.unary_unary_rpc_method_handler(report)})])
    if CERT:
        cert, key = (open(f, "rb").read() for f in CERT)
        server.add_secure_port(f"127.0.0.1:{PORT}", grpc.ssl_server_credentials([(key, cert)]))
    else:
        server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    print("ready", flush=True)
    while not os.path.exists(STATE + ".drain"):
        time.sleep(0.02)
    print("drains", flush=True)
    server.stop(60).wait()


serve_http() if KIND == "http" else serve_grpc()
