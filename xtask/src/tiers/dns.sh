# A name server for one run of the tests: `dns.sh NAMED PORT ZONE`.
# Says `ready KEY` when it can be used, and lives until its standard input ends. Whoever holds the other end may
# therefore crash, be interrupted or be killed: the server stops and its files go all the same.
set -eu
trap '' INT
named=$1
port=$2
zone=$3
folder=$(mktemp -d "${TMPDIR:-/tmp}/portal-dns.XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill -TERM "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP TERM

fail() {
    tail -n 20 "$folder/log" >&2
    exit 1
}

# The server is reachable by everybody on this machine, so only the key may change or copy the zone.
secret=$(head -c 32 /dev/urandom | base64 | tr -d '\n')
cat >"$folder/named.conf" <<END
options {
    directory "$folder"; pid-file none; session-keyfile none;
    listen-on port $port { 127.0.0.1; }; listen-on-v6 { none; };
    recursion no; notify no; dnssec-validation no; allow-transfer { key portal; };
};
controls { };
key "portal" { algorithm hmac-sha256; secret "$secret"; };
zone "$zone" { type primary; file "zone"; allow-update { key portal; }; };
END
cat >"$folder/zone" <<END
\$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
END

# A copy, because some systems confine the installed program to folders of its own.
cp "$named" "$folder/named"
"$folder/named" -g -c "$folder/named.conf" >"$folder/log" 2>&1 </dev/null &
server=$!
tries=0
until grep -q ' running$' "$folder/log"; do
    kill -0 "$server" 2>/dev/null || { server=; fail; }
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail
    sleep 0.1
done
echo "ready portal:hmac-sha256:$secret"
while read -r _; do :; done
