#!/bin/bash
# A receiver for switchhook's callbacks: bash, socat, openssl and coreutils.
#
#   SECRET_FILE  a file with the secret; during a rotation two, one a line
#   PROFILE      vos3000 (default) or standard
#   INBOX        a directory this process may write to, on a local disk
#   PORT         8080
#
#   SECRET_FILE=secret INBOX=inbox ./receiver.sh
#
# Good for a machine where nothing else may be installed, for a look at what comes, and for a handful
# of calls a second: each callback costs some ten processes. Not for the open network: put a proxy that
# speaks TLS and limits requests before it, or use one of the other receivers.
set -uo pipefail
export LC_ALL=C

BODY_BYTES_MAX=$((1 << 20))
WINDOW_SECONDS=300

if [ "${1:-}" != serve ]; then
    stop() { echo "$1" >&2 && exit 64; }
    [[ ${PROFILE:-vos3000} =~ ^(vos3000|standard)$ ]] || stop "PROFILE is vos3000 or standard, not $PROFILE"
    [ -d "${INBOX:-}" ] || stop "set INBOX to an existing directory, not '${INBOX:-}'"
    [ -s "${SECRET_FILE:-}" ] || stop "set SECRET_FILE to a file with the secret of the endpoint, not '${SECRET_FILE:-}'"
    for program in socat openssl; do
        command -v "$program" >/dev/null || stop "$program is not installed"
    done
    echo "listening on 127.0.0.1:${PORT:-8080}, profile ${PROFILE:-vos3000}"
    exec socat -T 30 "TCP-LISTEN:${PORT:-8080},bind=127.0.0.1,reuseaddr,fork,max-children=16" EXEC:"bash $(realpath "$0") serve"
fi

answer() { # status, reason, text
    local body="{\"text\":\"$3\"}"
    [ "$1" = 200 ] || echo "callback refused: $1 $3" >&2
    # Before the answer: once the sender hangs up, socat ends this process.
    [ -z "${body_file:-}" ] || rm -f "$body_file"
    printf 'HTTP/1.1 %s %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
        "$1" "$2" "${#body}" "$body"
    exit 0
}

# HMAC-SHA256 of standard input under the key of these hexadecimal digits, in bytes. openssl's own
# options would show the key to everybody who lists processes.
hmac() {
    local key=$1 inner='' outer='' at byte digits
    if [ "${#key}" -gt 128 ]; then
        key=$(hex_to_bytes "$key" | openssl dgst -sha256 -binary | bytes_to_hex)
    fi
    for ((at = 0; at < 128; at += 2)); do
        byte=${key:at:2}
        printf -v digits '\\x%02x' $((16#${byte:-00} ^ 0x36))
        inner+=$digits
        printf -v digits '\\x%02x' $((16#${byte:-00} ^ 0x5c))
        outer+=$digits
    done
    {
        printf '%b' "$outer"
        { printf '%b' "$inner"; cat; } | openssl dgst -sha256 -binary
    } | openssl dgst -sha256 -binary
}

bytes_to_hex() { od -An -v -tx1 | tr -d ' \n'; }
hex_to_bytes() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }

# Whether two signatures are the same. Their hashes under a random prefix are compared, so that the
# time it takes tells nothing of where they differ.
same() {
    local salt
    salt=$(od -An -N16 -tx1 /dev/urandom)
    [ "$(openssl dgst -sha256 <<<"$salt$1")" = "$(openssl dgst -sha256 <<<"$salt$2")" ]
}

# Whether a holder of a secret sent exactly these bytes, lately; if not, says why.
is_signed() {
    local secret expected signature now
    if [ "${PROFILE:-vos3000}" = standard ]; then
        why='the timestamp is missing or more than 300 s off: compare the clocks'
        [[ $timestamp =~ ^[0-9]{1,12}$ ]] || return 1
        now=$(date +%s)
        ((now - timestamp <= WINDOW_SECONDS && timestamp - now <= WINDOW_SECONDS)) || return 1
    fi
    why='no signature matches: compare the secret and the profile'
    while IFS= read -r secret; do
        [ -n "$secret" ] || continue
        if [ "${PROFILE:-vos3000}" = standard ]; then
            case $secret in
            whsec_*) key=$(openssl base64 -d -A <<<"${secret#whsec_}" | bytes_to_hex) ;;
            *) key=$(printf '%s' "$secret" | bytes_to_hex) ;;
            esac
            expected=v1,$({ printf '%s.%s.' "$id" "$timestamp"; cat "$body_file"; } | hmac "$key" | openssl base64 -A)
        else
            key=$(printf '%s' "$secret" | bytes_to_hex)
            expected=$(hmac "$key" <"$body_file" | bytes_to_hex)
        fi
        for signature in $signatures; do
            same "$signature" "$expected" && return 0
        done
    done <"$SECRET_FILE"
    return 1
}

read -r -t 10 method path _ || exit 0
length='' id='' timestamp='' signatures='' expects=''
while IFS= read -r -t 10 line && line=${line%$'\r'} && [ -n "$line" ]; do
    name=${line%%:*} value=${line#*:} value=${value# }
    case ${name,,} in
    content-length) length=$value ;;
    webhook-id) id=$value ;;
    webhook-timestamp) timestamp=$value ;;
    webhook-signature | x-vos3000-signature) signatures=$value ;;
    expect) expects=$value ;;
    esac
done
set -f # what is split below must not be taken for a pattern of files

[ "${path%%\?*}" = /webhook ] || answer 404 'Not Found' 'callbacks are taken at /webhook'
[ "$method" = POST ] || answer 405 'Method Not Allowed' 'callbacks come by POST'
[[ $length =~ ^[0-9]{1,9}$ ]] || answer 411 'Length Required' 'no Content-Length'
((10#$length <= BODY_BYTES_MAX)) || answer 413 'Content Too Large' 'too long'
[ -z "$expects" ] || printf 'HTTP/1.1 100 Continue\r\n\r\n'

body_file=$(mktemp "$INBOX/.unfinished-XXXXXXXX") || answer 503 'Service Unavailable' 'not stored'
trap 'rm -f "$body_file"' EXIT TERM
head -c "$((10#$length))" >"$body_file" || answer 503 'Service Unavailable' 'not stored'
[ "$(stat -c %s "$body_file")" = "$((10#$length))" ] || exit 0 # The sender broke off, or the disk is full.

is_signed || answer 401 Unauthorized "$why"
if [ "${PROFILE:-vos3000}" != standard ]; then
    # Inside a text the quotation marks would be escaped, so this finds keys only; ours is the last.
    id=$(grep -ao '"id":"evt_[0-9a-f]\{32\}"' "$body_file" | tail -n 1 | cut -d '"' -f 4)
fi
[[ $id =~ ^[A-Za-z0-9_-]{1,128}$ ]] || answer 400 'Bad Request' 'no id'

# Durable first. A link is made whole or not at all, and not where the name is taken: two repeats that
# come at the same moment are told apart by the file system.
sync "$body_file" || answer 503 'Service Unavailable' 'not stored'
if ln "$body_file" "$INBOX/$id.json" 2>/dev/null; then
    sync "$INBOX" || answer 503 'Service Unavailable' 'not stored'
    answer 200 OK received
fi
[ -e "$INBOX/$id.json" ] || answer 503 'Service Unavailable' 'not stored'
answer 200 OK known
