# A PostgreSQL server for one run of the tests: `postgres.sh BINARIES PORT [SETTINGS]`.
# Says `ready URL` when it can be used, and lives until its standard input ends. Whoever holds the other end may
# therefore crash, be interrupted or be killed: the server stops and its files go all the same.
set -eu
trap '' INT
binaries=$1
port=$2
# Durability is not what the tests are about: without fsync they take a tenth of the time.
options=
for setting in ${3-fsync=off synchronous_commit=off full_page_writes=off}; do
    options="$options -c $setting"
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/portal-postgres.XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP TERM

fail() {
    tail -n 20 "$folder/log" >&2
    exit 1
}

# The server is reachable by everybody on this machine, so it wants a password.
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$password" >"$folder/password"
"$binaries/initdb" --pgdata="$folder/data" --username=portal --pwfile="$folder/password" --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C --no-sync >"$folder/log" 2>&1 || fail

# shellcheck disable=SC2086 # these are several words, or none
"$binaries/postgres" -D "$folder/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c max_connections=300 -c shared_buffers=64MB $options \
    >>"$folder/log" 2>&1 </dev/null &
server=$!
tries=0
until "$binaries/pg_isready" --quiet --host=127.0.0.1 --port="$port"; do
    kill -0 "$server" 2>/dev/null || { server=; fail; }
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail
    sleep 0.1
done
echo "ready postgres://portal:$password@127.0.0.1:$port/postgres"
while read -r _; do :; done
