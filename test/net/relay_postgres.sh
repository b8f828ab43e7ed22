#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL through the TCP proxy: transactions, COPY of 10 MB both ways, cancel requests, TLS that is passed on, and ends
# of all kinds. The server runs as a user without privileges in the test's folder.
. "$(dirname "$0")/../lib/net.sh"
. "$(dirname "$0")/../lib/certs.sh"
PG=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | tail -n 1)
[ -x "$PG/initdb" ] && command -v psql > /dev/null || skip "postgresql is not installed"

# The way to the test's folder is root's alone; a mount of it is not.
mkdir "$T/pg"
mount --bind "$T/pg" /mnt
chown postgres /mnt
as_pg=(setpriv --reuid postgres --regid postgres --clear-groups -- env HOME=/mnt)
"${as_pg[@]}" "$PG/initdb" -D /mnt/data -A trust -U app --no-sync > "$T/initdb.log" 2>&1 || { cat "$T/initdb.log"; fail "initdb"; }
self_signed /mnt/data/server DNS:db.test
chown postgres /mnt/data/server.*
chmod 600 /mnt/data/server.key
pg_start() {
	bg postgres.log "${as_pg[@]}" "$PG/postgres" -D /mnt/data -p 5432 -h 127.0.0.1 -k /mnt -F -c ssl=on -c max_connections=50 \
		-c client_connection_check_interval=200
	PG_PID=$BG_PID
	wait_for 60 "$PG/pg_isready" -q -h 127.0.0.1 -p 5432
}
pg_start

cat > "$T/weft.yaml" <<YAML
kernel: {mode: "off"}
workers: 2
listeners:
- {name: db, address: "127.0.0.1:7432", protocol: tcp, rules: [{backends: [{cluster: db}]}]}
clusters:
- {name: db, endpoints: [{address: "127.0.0.1:5432"}]}
YAML
weftd_start
DSN="host=db.test hostaddr=127.0.0.1 port=7432 user=app dbname=postgres sslmode=disable"
q() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$DSN" "$@"; }
direct() { psql -X -q -A -t "host=127.0.0.1 port=5432 user=app dbname=postgres sslmode=disable" "$@"; }
open() { admin /listeners | jq '.listeners[] | select(.name == "db") | .open'; }
none_open() { [ "$(open)" = 0 ] && [ "$(direct -c "select count(*) from pg_stat_activity where client_port > 0 and pid <> pg_backend_pid()")" = 0 ]; }
broke() { admin /listeners | jq '.listeners[] | select(.name == "db") | .client_broke + .host_broke'; }

like "$(q -c 'select version()')" '^PostgreSQL' "a question and its answer"
q -c 'create table t (n int primary key, s text)'
q -c 'begin; insert into t values (1, $$kept$$); commit; begin; insert into t values (2, $$not$$); rollback'
is "$(q -c 'select n, s from t')" "1|kept" "a transaction that is committed, and one that is not"
q <<< "insert into t select g, repeat(md5(g::text), 32) from generate_series(10, 10500) g"
q -c '\copy t to stdout' > "$T/out.copy"
[ "$(stat -c %s "$T/out.copy")" -gt 10000000 ] || fail "COPY gave only $(stat -c %s "$T/out.copy") bytes"
is "$(md5sum < "$T/out.copy")" "$(direct -c '\copy t to stdout' | md5sum)" "COPY of 10 MB out"
q -c 'create table u (like t)' -c "\\copy u from '$T/out.copy'"
is "$(q -c 'select count(*) from (table t except table u) x') $(q -c 'select count(*) from u')" "0 10492" "and in"
wait_for 20 none_open
is "$(broke)" 0 "all of it ended in order"
case_pass questions_and_copies

# 8 clients at once, a thousand transactions; each leaves a row.
"$PG/pgbench" -i -q "$DSN" > "$T/pgbench.log" 2>&1
"$PG/pgbench" -n -c 8 -j 2 -t 125 "$DSN" >> "$T/pgbench.log" 2>&1
like "$(cat "$T/pgbench.log")" 'actually processed: 1000/1000' "pgbench: a thousand transactions"
is "$(q -c 'select count(*) from pgbench_history')" 1000 "each of them once"
is "$(q -c 'select sum(bbalance) - (select sum(delta) from pgbench_history) from pgbench_branches')" 0 "and the sums are right"
"$PG/pgbench" -n -S -C -c 8 -j 2 -t 25 "$DSN" >> "$T/pgbench.log" 2>&1
like "$(tail -n 20 "$T/pgbench.log")" 'actually processed: 200/200' "a connection for each"
case_pass many_clients

# The cancel request is a connection of its own, which says nothing but a key.
running() { [ "$(direct -c "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'")" = "$1" ]; }
bg sleep.log q -c 'select pg_sleep(600)'
wait_for 20 running 1
kill -INT "$(pgrep -x psql)"
wait "$BG_PID" || true
like "$(cat "$T/sleep.log")" 'canceling statement due to user request' "a query is cancelled"
wait_for 20 running 0
case_pass cancel

# TLS is the server's: the proxy passes it on, certificate and all.
TLS="host=db.test hostaddr=127.0.0.1 port=7432 user=app dbname=postgres sslmode=verify-full sslrootcert=/mnt/data/server.crt"
is "$(psql -X -A -t "$TLS" -c 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')" "t|TLSv1.3" "TLS from end to end"
is "$(psql -X -A -t "$TLS" -c '\copy t to stdout' | md5sum)" "$(md5sum < "$T/out.copy")" "10 MB in it"
rc=0
psql -X "${TLS/host=db.test/host=other.test}" -c 'select 1' > "$T/tls.log" 2>&1 || rc=$?
is $rc 2 "another name than the certificate's is refused"
like "$(cat "$T/tls.log")" 'does not match host name' "by the client"
case_pass tls_is_passed_on

# Ends that are not in order.
bg sleep.log q -c 'select pg_sleep(600)'
wait_for 20 running 1
kill -KILL "$(pgrep -x psql)"
wait "$BG_PID" 2> /dev/null || true
wait_for 20 running 0
echo "  ok: a client that is killed: its query ends on the server"
bg sleep.log q -c 'select pg_sleep(600)'
wait_for 20 running 1
kill -QUIT "$PG_PID"            # immediate: the server ends in the middle of everything
wait "$BG_PID" && fail "psql ended well" || true
like "$(cat "$T/sleep.log")" 'server closed the connection|terminating connection' "a server that dies: its client knows at once"
wait "$PG_PID" || true
rc=0
q -c 'select 1' > "$T/down.log" 2>&1 || rc=$?
is $rc 2 "while it is down: no connection"
like "$(cat "$T/down.log")" 'server closed the connection|Connection reset|could not receive' "and psql says so"
pg_start
like "$(q -c 'select count(*) from t')" '^10492$' "it is back"
wait_for 20 none_open
is "$(metric weft_proxy_exits_total)" 0 "by the same proxy"
case_pass ends_of_all_kinds
weftd_stop
