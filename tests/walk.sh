#!/usr/bin/env bash
# A new operator's first day, by the README alone: set up, connect a directory of VOS3000, break the receiver in ten
# ways, find each cause in `status`, repair, and replay.
#
#   tests/walk.sh PROGRAM [DIRECTORY]
#
# Prints the seconds each step took. DIRECTORY (default: a new one, removed at the end) holds everything.
set -euo pipefail
program=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
samples=$here/fixtures/vos3000/softswitch-pipe
if [ $# -gt 1 ]; then
    work=$2 && mkdir -p "$work"
else
    work=$(mktemp -d)
fi
cd "$work"
mkdir -p cdr
agent='' receiver='' port=0 rows=0 hour=15

stop() { [ -z "$1" ] || { kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; } || true; }
trap 'stop "$agent"; stop "$receiver"; [ $# -gt 1 ] || rm -rf "$work"' EXIT

step_began=$SECONDS
say() { printf '%3s s  %s\n' "$((SECONDS - step_began))" "$1" && step_began=$SECONDS; }
fail() {
    printf 'FAILED: %s\n' "$1" >&2
    for file in status.txt check.txt run.log receive.log; do
        [ ! -f $file ] || { echo "--- $file" && tail -n 25 $file; } >&2
    done
    exit 1
}
hook() { local command=$1 && shift && "$program" "$command" "$@"; }
has() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2"; }

# Polls `status` until it says so; its exit code has to be the second argument.
status_says() {
    local code
    for _ in $(seq 300); do
        code=0 && hook status --config switchhook.toml >status.txt 2>&1 || code=$?
        # A sentence goes over several lines of the screen.
        tr -s '!?\n ' ' ' <status.txt >status.line
        [ $code != "$2" ] || ! grep -qF -- "$1" status.line || return 0
        sleep 0.1
    done
    fail "status does not say, with exit code $2: $1"
}
# Every row written is delivered.
delivered() {
    for _ in $(seq 300); do
        hook status --config switchhook.toml --json >status.json || true
        ! grep -q "\"delivered\": $1" status.json || return 0
        sleep 0.1
    done
    fail "not $1 delivered"
}

# The switch writes so many rows into the file of this hour.
calls() {
    for _ in $(seq "$1"); do
        rows=$((rows + 1))
        sed -n "$((rows % 60 + 1))p" "$samples/2026041014.txt" | sed "s/[0-9]*\$/90$rows/" >>"cdr/20260410$hour.txt"
    done
}
receive() { # further arguments of `receive`
    stop "$receiver"
    : >receive.log
    "$program" receive --listen 127.0.0.1:$port --profile vos3000 --secret-file billing.secret "$@" >receive.log 2>&1 &
    receiver=$!
    for _ in $(seq 100); do
        grep -q '^listening' receive.log && break
        sleep 0.1
    done
    has receive.log 'listening on'
    port=$(sed -n 's/^listening on [a-z]*:..127.0.0.1:\([0-9]*\).*/\1/p' receive.log)
}
config() { # url, further keys of the endpoint
    cat >switchhook.toml <<EOF
node = "walk"
state_dir = "state"
control_socket = "control.sock"

[log]
to = "stderr"

[[source]]
name = "cdr"
format = "${format:-vos3000-pipe}"
files = ["$work/cdr/*.txt"]
timezone = "Asia/Dhaka"
start = "now"
poll = "200ms"

[[endpoint]]
name = "billing"
url = "$1"
profile = "vos3000"
events = ["cdr"]
secret_file = "billing.secret"
probe_max = "1s"
timeout = "1s"
attempts = 2
backoff_initial = "100ms"
${2:-}
EOF
}
reload() { hook reload --config switchhook.toml >reload.txt; }
# Everything as it should be again; what waited goes out.
repair() {
    receive
    config "http://127.0.0.1:$port/webhook"
    reload
    hook endpoints resume billing --config switchhook.toml >/dev/null
    status_says healthy 0
    delivered $rows
}
broken() { # name, what `status` has to say of it
    status_says "$2" 69
    repair
    say "$1: found and repaired"
}

cp "$samples/2026041014.txt" cdr/
hook secret generate --output billing.secret >secret.txt
has secret.txt "secret_file = \"$work/billing.secret\""
receive
config "http://127.0.0.1:$port/webhook"
hook check --config switchhook.toml >check.txt
has check.txt 'of the first rows 60 fit, 0 do not'
has check.txt 'the configuration is good'
"$program" run --config switchhook.toml >run.log 2>&1 &
agent=$!
status_says healthy 0
calls 5
delivered 5
say 'set up, and the first calls delivered'

stop "$receiver" && receiver=''
calls 3
broken 'the receiver is stopped' 'Connection refused'

config 'http://127.0.0.1:1/webhook' && reload
calls 3
broken 'a wrong port' '127.0.0.1:1: Connection refused'

receive --fault hang
calls 3
broken 'it hangs' 'no byte of an answer within 1 s (timeout)'

mv billing.secret right.secret
hook secret generate --output billing.secret >/dev/null
receive && mv right.secret billing.secret
calls 25
broken 'it wants another secret' 'status 401: refuses everything'

receive --fault status=500
calls 3
broken 'it has an error of its own' 'status 500'

receive --fault status=410
calls 3
broken 'it says that it is gone' 'answered 410, which says that it is gone'

receive --tls
config "https://127.0.0.1:$port/webhook" && reload
calls 3
broken 'an authority that is not known' 'name that in ca_file'

receive --tls --certificate-out authority.pem --fault tls=expired
config "https://127.0.0.1:$port/webhook" 'ca_file = "authority.pem"' && reload
calls 3
broken 'an expired certificate' "the receiver's certificate expired at"

receive --tls --certificate-out authority.pem --fault tls=wrong-name
config "https://127.0.0.1:$port/webhook" 'ca_file = "authority.pem"' && reload
calls 3
broken 'a certificate for another name' 'not valid for name "127.0.0.1"'

config 'https://nowhere.invalid/webhook' && reload
calls 3
broken 'a name that does not exist' 'dns: nowhere.invalid'

# One kind of event is refused: its calls become dead letters, the others pass.
receive --fault poison=GW-OUT-AU
calls 60
for _ in $(seq 300); do
    hook dead-letters list --config switchhook.toml >dead.txt
    [ "$(grep -c 'status 400' dead.txt || true)" -lt 3 ] || break
    sleep 0.1
done
has dead.txt 'status 400'
status_says 'given up; `switchhook dead-letters list --endpoint billing` says why' 65
for _ in $(seq 100); do
    hook status --config switchhook.toml --json >status.json || true
    ! grep -q '"waiting": 0' status.json || ! grep -q '"queued": 0' status.json || break
    sleep 0.1
done
receive
hook dead-letters replay --endpoint billing --config switchhook.toml >replay.txt
has replay.txt '0 given up again, 0 still waiting'
! hook dead-letters replay --endpoint biling --config switchhook.toml 2>wrong.txt || fail 'an endpoint that is not there has letters'
has wrong.txt 'there is no endpoint "biling"; there are billing'
delivered $rows
say 'events were given up: told again from the dead letters'

# The receiver lost an hour: the hour's file, and a range of time, told again.
hook replay --source cdr --file cdr/2026041015.txt --dry-run --config switchhook.toml >replay.txt
has replay.txt "$rows rows of 1 file would be told again"
delivered $rows
hook replay --source cdr --file cdr/2026041015.txt --config switchhook.toml >replay.txt
has replay.txt "$rows rows of 1 file told again"
hook replay --source cdr --from 2026-04-10T14:00:00+06:00 --to 2026-04-10T14:10:00+06:00 --dry-run --config switchhook.toml >replay.txt
has replay.txt ' rows of 2 files would be told again, from 2026-04-10T08:0'
delivered $((rows * 2))
! hook replay --source cdr --from '2026-04-10 14:00' --config switchhook.toml 2>wrong.txt || fail 'a time without a zone was taken'
has wrong.txt 'write it with its zone, like 2026-04-10T14:00:00+06:00'
say 'a file and a range of time told again'

# The switch was upgraded, and writes other columns: nothing fits.
hour=16
before=$rows
for _ in 1 2 3; do
    rows=$((rows + 1))
    echo "v2|$rows|a|b" >>cdr/2026041016.txt
done
sleep 1
for row in $(seq 60); do echo "v2|$row|a|b"; done >>cdr/2026041016.txt
status_says 'rows of source cdr do not fit its format and are set aside, 2026041016.txt:' 69
rows=$before
say 'another release: rows are set aside, and that is said'
stop "$agent" && agent=''
echo 'the day is over: everything was found, repaired and told'
