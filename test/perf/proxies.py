# SPDX-License-Identifier: Apache-2.0
"""The proxies of a benchmark, each with one worker pinned to one processor, on the same backend. All of them: upstream
keep-alive, metrics as they come, no access log, nothing tuned beyond that and room for connections."""
import json
import os
import re
import signal
import subprocess

from bench import Failed
from node import tasks

BACKEND = 9001
H2, GRPC = 9002, 9003                    # servers that speak HTTP/2, in the cases that have them
PORTS = ("h1", "tls", "tcp", "h2", "h2h2", "grpc")


class Proxy:
    """Ports of the same service: HTTP, TLS (HTTP inside), TCP (the same bytes, unparsed); where the rig has servers of HTTP/2,
    HTTP/2 to HTTP/1, to HTTP/2, and gRPC, all in plain text. None: it has no such thing."""
    first, ports = 0, PORTS

    def __init__(self, rig):
        self.rig, self.process = rig, None
        self.dir = os.path.join(rig.scratch, self.name)
        os.makedirs(self.dir, exist_ok=True)
        self.port = {p: self.first + i for i, p in enumerate(PORTS) if p in self.ports}
        self.log = open(os.path.join(rig.scratch, f"{self.name}.log"), "a")

    def version(self):
        return self.name

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)
        return path

    def spawn(self, argv):
        self.process = self.rig.spawn(self.rig.proxy_cpu, argv, self.log)

    def start(self):
        self.spawn(self.command())
        self.rig.wait_port(self, self.port.get("h1") or self.port["tcp"])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_ns(self):
        """Run time of all its processes and threads so far."""
        total = 0
        for pid in tasks(self.process.pid):
            try:
                for tid in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                        total += int(f.read().split()[0])
            except OSError:
                pass                         # ended meanwhile
        return total

    def resident(self):
        """MiB of all its processes: what they share is counted for each."""
        total = 0
        for pid in tasks(self.process.pid):
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        return total / 1024


class Relay(Proxy):
    """The floor: parses nothing. The same listener is its HTTP and its TCP port."""
    name, first, ports = "floor", 8110, ("h1",)

    def __init__(self, rig, splice=False):
        super().__init__(rig)
        self.splice = splice
        self.port["tcp"] = self.port["h1"]

    def version(self):
        return "floor (a relay that parses nothing" + (", splice)" if self.splice else ")")

    def command(self):
        return [f"{self.rig.build}/test/perf/relay", "-l", self.port["h1"], "-u", BACKEND] + ["-s"] * self.splice


class Null(Relay):
    """In the place of weft, when noise alone is to be seen."""
    name, first = "null", 8120


class Nginx(Proxy):
    name, first = "nginx", 8130

    def version(self):
        out = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr
        return "nginx " + re.search(r"nginx/(\S+)", out).group(1)

    def config(self, generation):
        p, r = self.port, self.rig
        module = "/usr/lib/nginx/modules/ngx_stream_module.so"
        return f"""
{f"load_module {module};" if os.path.exists(module) else ""}
worker_processes 1;
daemon off;
error_log {self.dir}/error.log error;
pid {self.dir}/pid;
events {{ worker_connections 24000; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_temp_path {self.dir}/proxy; client_body_temp_path {self.dir}/body; fastcgi_temp_path {self.dir}/f;
  uwsgi_temp_path {self.dir}/u; scgi_temp_path {self.dir}/s;
  proxy_max_temp_file_size 0;
  {self.http2() if r.h2 else ""}
  upstream backend {{ server {r.server}:{BACKEND}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {r.listen}:{p["h1"]} backlog=4096;
    location / {{ add_header X-Generation {generation}; proxy_pass http://backend; }}
  }}
  server {{
    listen {r.listen}:{p["tls"]} ssl backlog=4096;
    ssl_certificate {r.cert}; ssl_certificate_key {r.key};
    ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off; ssl_ecdh_curve X25519;
    location / {{ proxy_pass http://backend; }}
  }}
}}
stream {{ server {{ listen {r.listen}:{p["tcp"]} backlog=4096; proxy_pass {r.server}:{BACKEND}; }} }}
"""

    def http2(self):
        """Its gRPC module speaks HTTP/2 to any server, a stream a connection."""
        p, r = self.port, self.rig
        keep = "keepalive 256; keepalive_requests 100000000;"
        return f"""http2_max_concurrent_streams 128;
  upstream backend2 {{ server {r.server}:{H2}; {keep} }}
  upstream backend_grpc {{ server {r.server}:{GRPC}; {keep} }}
  server {{ listen {r.listen}:{p["h2"]} http2 backlog=4096; location / {{ proxy_pass http://backend; }} }}
  server {{ listen {r.listen}:{p["h2h2"]} http2 backlog=4096; location / {{ grpc_pass grpc://backend2; }} }}
  server {{ listen {r.listen}:{p["grpc"]} http2 backlog=4096; location / {{ grpc_pass grpc://backend_grpc; }} }}
"""

    def command(self):
        return ["nginx", "-c", self.write("nginx.conf", self.config(1)), "-p", self.dir]

    def reload(self, generation):
        self.write("nginx.conf", self.config(generation))
        self.process.send_signal(signal.SIGHUP)


class Haproxy(Proxy):
    name, first = "haproxy", 8140

    def version(self):
        out = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout
        return "haproxy " + re.search(r"version (\d+\.\d+\.\d+)", out).group(1)

    def config(self, generation):
        p, r = self.port, self.rig
        return f"""
global
  nbthread 1
  no strict-limits
  maxconn 12000
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-bind-curves X25519
  tune.ssl.cachesize 0
defaults
  mode http
  maxconn 12000
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout http-keep-alive 3600s
  option splice-auto
frontend h1
  bind {r.listen}:{p["h1"]} backlog 4096
  option http-no-delay
  http-response set-header X-Generation {generation}
  default_backend b
frontend tls
  bind {r.listen}:{p["tls"]} ssl crt {r.pem} alpn http/1.1 backlog 4096
  option http-no-delay
  default_backend b
backend b
  http-reuse always
  option http-no-delay
  server s {r.server}:{BACKEND}
{self.http2() if r.h2 else ""}
listen tcp
  mode tcp
  bind {r.listen}:{p["tcp"]} backlog 4096
  server s {r.server}:{BACKEND}
"""

    def http2(self):
        p, r = self.port, self.rig
        return "".join(f"""
listen {name}
  bind {r.listen}:{p[name]} proto h2 backlog 4096
  http-reuse always
  option http-no-delay
  server s {r.server}:{server} {proto}
""" for name, server, proto in (("h2", BACKEND, ""), ("h2h2", H2, "proto h2"), ("grpc", GRPC, "proto h2")))

    def command(self):
        return ["haproxy", "-W", "-db", "-f", self.write("haproxy.cfg", self.config(1))]

    def reload(self, generation):
        self.write("haproxy.cfg", self.config(generation))
        self.process.send_signal(signal.SIGUSR2)


class Envoy(Proxy):
    name, first = "envoy", 8150

    def version(self):
        out = subprocess.run([self.rig.envoy, "--version"], capture_output=True, text=True).stdout
        return "envoy " + re.search(r"/(\d+\.\d+\.\d+)", out).group(1)

    def listener(self, name, filters, tls=False):
        chain = {"filters": filters}
        if tls:
            tls_type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
            chain["transport_socket"] = {"name": "tls", "typed_config": {
                "@type": tls_type, "disable_stateless_session_resumption": True, "common_tls_context": {
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "ecdh_curves": ["X25519"]},
                    "tls_certificates": [{"certificate_chain": {"filename": self.rig.cert},
                                          "private_key": {"filename": self.rig.key}}]}}}
        return {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": name,
                "address": {"socket_address": {"address": self.rig.listen, "port_value": self.port[name]}},
                "tcp_backlog_size": 4096, "filter_chains": [chain]}

    def listeners(self, generation):
        kind = "type.googleapis.com/envoy.extensions.filters"
        http = [{"name": "http", "typed_config": {
            "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "h",
            "generate_request_id": False,
            "http_filters": [{"name": "router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}}],
            "route_config": {"name": "r", "response_headers_to_add": [
                {"header": {"key": "x-generation", "value": str(generation)}}], "virtual_hosts": [
                {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {
                    "cluster": "b", "timeout": "0s"}}]}]}}}]
        tcp = [{"name": "tcp", "typed_config": {"@type": f"{kind}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t",
                                               "cluster": "b"}}]
        return json.dumps({"version_info": str(generation), "resources": [
            self.listener("h1", http), self.listener("tls", http, True), self.listener("tcp", tcp), *self.http2(http[0])]})

    def http2(self, manager):
        """What a client speaks it finds out itself."""
        made = []
        for name, cluster in (("h2", "b"), ("h2h2", "b2"), ("grpc", "grpc")) if self.rig.h2 else ():
            filters = json.loads(json.dumps(manager).replace('"cluster": "b"', f'"cluster": "{cluster}"'))
            made.append(self.listener(name, [filters]))
        return made

    def cluster(self, name, port, http2=False):
        many = {"thresholds": [{"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}]}
        options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        return {"name": name, "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": many,
                **({"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": options, "explicit_http_config": {"http2_protocol_options": {}}}}} if http2 else {}),
                "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
                    "socket_address": {"address": self.rig.server, "port_value": port}}}}]}]}}

    def command(self):
        lds = self.write("lds.json", self.listeners(1))
        more = [self.cluster("b2", H2, True), self.cluster("grpc", GRPC, True)] if self.rig.h2 else []
        conf = {
            "node": {"id": "n", "cluster": "c"},
            "static_resources": {"clusters": [self.cluster("b", BACKEND), *more]},
            "dynamic_resources": {"lds_config": {"path_config_source": {"path": lds}, "resource_api_version": "V3"}},
        }
        return [self.rig.envoy, "-c", self.write("envoy.json", json.dumps(conf)), "--concurrency", "1", "--use-dynamic-base-id",
                "--log-level", "error", "--disable-hot-restart"]

    def reload(self, generation):
        self.write("lds.json", self.listeners(generation))


class Weft(Proxy):
    name, first = "weft", 8160
    kernel = 'kernel: {mode: "off"}\n'

    def version(self):
        return "weft"

    def config(self, generation):
        p, r = self.port, self.rig
        change = f"[{{type: ResponseHeaderModifier, set: [{{name: x-generation, value: \"{generation}\"}}]}}]"
        certificate = f"{{cert: {r.cert}, key: {r.key}}}"
        more = self.http2() if r.h2 else {"listeners": "", "routes": "", "clusters": ""}
        return f"""
listeners:
- {{name: h1, address: "{r.listen}:{p["h1"]}", protocol: http, routes: [h1]}}
- name: tls
  address: "{r.listen}:{p["tls"]}"
  protocol: http
  routes: [tls]
  tls: {{mode: strict, minVersion: "1.3", certificates: [{certificate}]}}
{more["listeners"]}
- {{name: tcp, address: "{r.listen}:{p["tcp"]}", protocol: tcp, rules: [{{backends: [{{cluster: b}}]}}]}}
routes:
- {{name: h1, hosts: ["*"], rules: [{{filters: {change}, backends: [{{cluster: b}}]}}]}}
- {{name: tls, hosts: ["*"], rules: [{{backends: [{{cluster: b}}]}}]}}
{more["routes"]}
clusters:
{more["clusters"]}
- name: b
  endpoints: [{{address: "{r.server}:{BACKEND}"}}]
  connectionPool: {{maxConnections: 0, maxPending: 0, maxRequests: 0}}
"""

    def http2(self):
        p, r = self.port, self.rig
        ways = (("h2", "b", BACKEND), ("h2h2", "b2", H2), ("grpc", "grpc", GRPC))
        pool = "connectionPool: {maxConnections: 0, maxPending: 0, maxRequests: 0}"
        return {
            "listeners": "\n".join(f'- {{name: {n}, address: "{r.listen}:{p[n]}", protocol: http, routes: [{n}]}}' for n, _, _ in ways),
            "routes": "\n".join(f'- {{name: {n}, hosts: ["*"], rules: [{{backends: [{{cluster: {c}}}]}}]}}' for n, c, _ in ways),
            "clusters": "\n".join(f'- {{name: {c}, protocol: http2, endpoints: [{{address: "{r.server}:{at}"}}], {pool}}}'
                                  for _, c, at in ways[1:])}

    def command(self):
        os.makedirs(os.path.join(self.dir, "services.d"), exist_ok=True)
        self.write("services.d/all.yaml", self.config(1))
        registry = f"{{name: files, type: file, path: {self.dir}/services.d}}"
        return [f"{self.rig.build}/weftd", "-c",
                self.write("weft.yaml", f"workers: 1\nregistries: [{registry}]\n{self.kernel}")]

    def reload(self, generation):
        self.write("services.d/all.yaml", self.config(generation))
