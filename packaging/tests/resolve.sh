#!/bin/bash
# Prints "resolved" when the binary finds an endpoint by a name that only /etc/hosts of a file system
# of its own has, and delivers to it over TLS.
#
#   packaging/tests/resolve.sh SWITCHHOOK
set -euo pipefail
program=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
dir=$(mktemp -d /var/tmp/switchhook-resolve.XXXXXX)
trap 'kill $receiver 2>/dev/null; rm -rf "$dir"' EXIT
receiver=
mkdir "$dir/cdr" "$dir/etc"
(umask 077 && "$program" secret generate --output "$dir/secret" >/dev/null)
"$program" receive --tls --certificate-out "$dir/ca.pem" --listen 127.0.0.1:0 --secret-file "$dir/secret" >"$dir/received" 2>&1 &
receiver=$!
for _ in $(seq 100); do
    grep -q '^listening' "$dir/received" && break
    sleep 0.1
done
port=$(sed -n 's/^listening on .*:\([0-9]*\)\/.*/\1/p' "$dir/received")
"$here/rows.py" 3 >"$dir/cdr/cdr_1.csv"
cat >"$dir/switchhook.toml" <<END
state_dir = "$dir/state"
[log]
to = "stderr"
[[source]]
name = "cdr"
format = "vos3000-csv"
files = ["$dir/cdr/*.csv"]
start = "beginning"
[[endpoint]]
name = "billing"
url = "https://localhost:$port/webhook"
events = ["cdr"]
secret_file = "$dir/secret"
ca_file = "$dir/ca.pem"
allow_private = true
END
# Its own mounts: the name is looked up in a hosts file that was written a moment ago, and no
# nsswitch.conf says how.
printf '127.0.0.1 localhost\n' >"$dir/etc/hosts"
: >"$dir/etc/resolv.conf"
unshare -m sh -c 'mount --bind "$1/etc" /etc && exec timeout 60 "$2" run --config "$1/switchhook.toml"' -- "$dir" "$program" >"$dir/log" 2>&1 &
agent=$!
for _ in $(seq 300); do
    [ "$(grep -c '200 signature ok' "$dir/received")" = 3 ] && break
    sleep 0.1
done
pkill -TERM -f "^$program run --config $dir/switchhook.toml" || :
wait "$agent" || :
[ "$(grep -c '200 signature ok' "$dir/received")" = 3 ] || {
    cat "$dir/log" "$dir/received" >&2
    exit 1
}
echo resolved
