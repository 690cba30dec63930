#!/usr/bin/env bash
# First inputs of every fuzz target, made of the sample files: into CORPUS/TARGET.
#
#   fuzz/seed.sh [CORPUS] [SAMPLES]
#
# CORPUS is target-fuzz/corpus and SAMPLES tests/fixtures unless they are given. What decides how a
# sample is read (its preset, its encoding) stands at its end, so each is written once per choice.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=${1:-target-fuzz/corpus}
samples=${2:-tests/fixtures}

# Bytes of a sample that are taken: some rows tell as much as thousands.
start=3000

# put TARGET NAME: writes what comes in among the inputs of the target.
put() { mkdir -p "$corpus/$1"; cat >"$corpus/$1/seed-$2"; }

# texts TARGET TEXT...: each text as an input.
texts() {
    local target=$1 number=0 text
    shift
    for text in "$@"; do
        printf '%b' "$text" | put "$target" "text-$number"
        number=$((number + 1))
    done
}

name_of() { tr -c 'A-Za-z0-9\n' '_' <<<"${1#"$samples/"}"; }

# chosen TARGET FILE COUNT [MORE]: the file once for each of COUNT first choices.
chosen() {
    local choice
    for ((choice = 0; choice < $3; choice++)); do
        { head -c $start "$2"; printf '%b' "\\x$(printf %02x "$choice")${4:-\\x00\\x01\\x00}"; } |
            put "$1" "$(name_of "$2")-$choice"
    done
}

while IFS= read -r -d '' file; do
    name=$(name_of "$file")
    case $file in
    *.json | *.xml)
        chosen parser_document "$file" 2
        { printf '\0'; head -c $start "$file"; } | put event_push "$name"
        { printf '\1'; head -c $start "$file"; } | put event_push "$name-1"
        { printf '\2'; head -c $start "$file"; } | put event_push "$name-2"
        { printf '\3'; head -c $start "$file"; } | put event_push "$name-3"
        { tr -d '\n' <"$file" | head -c $start; printf '\n\0\1\0'; } | put parser_json_lines "$name"
        head -c $start "$file" | put delivery_body "$name"
        ;;
    *.py | *.md) continue ;;
    *)
        chosen parser_delimited "$file" 12
        chosen parser_key_value "$file" 3
        chosen parser_pattern "$file" 3
        # Each preset, started anew after every row and after every third.
        for ((preset = 0; preset < 16; preset++)); do
            { head -c $start "$file"; printf '%b' "\\x00\\x20\\x$(printf %02x $preset)\\x00\\x01\\x00"; } |
                put derive_rows "$name-$preset"
        done
        ;;
    esac
    head -c $start "$file" | put parser_guess "$name"
    head -c 200 "$file" | put text_line "$name"
    { printf '\100\40'; head -c 300 "$file"; } | put source_lines "$name"
    { printf '\11'; head -c $start "$file" | gzip -c; } | put source_gunzip "$name"
    { printf '\200'; head -c 100 "$file" | gzip -c; head -c 200 "$file" | gzip -1c; } | put source_gunzip "$name-2"
    ls "$(dirname "$file")" | put source_names "$name"
done < <(find "$samples" -type f -size -200k -print0)

# Formats as they ship, with rows.
for preset in src/parser/presets/*.toml; do
    find "$samples" -type f -size -20k ! -name '*.py' -print0 | sort -z | head -z -n 60 | tail -z -n 4 |
        while IFS= read -r -d '' file; do
            { cat "$preset"; printf '\n---\n'; head -c 600 "$file"; printf '\0\1\0'; } |
                put parser_own_format "$(basename "$preset" .toml)-$(name_of "$file")"
        done
done

texts parser_time '2026-04-10 14:30:45' '2026-04-10T14:30:45.123Z' '1775745045' '1775745045123' \
    '10/04/2026 14:30:45' 'Apr 10 14:30:45' '2026-10-25 02:30:00' '20260410143045' '2026-04-10 14:30:45.123456+02:00' \
    '"${caller_id_name}","${uuid}","${start_stamp}"' '10-Apr-2026 08:01:05' 'Apr 10 2026 08:01:05 AM' \
    '08:01:05.123 UTC Fri Apr 10 2026' 'Fri, 10 Apr 2026 08:01:05 +0200' '4/10/2026 2:01:28 PM'
texts parser_guess 'cdrRecordType,dateTimeOrigination,pkid\nINTEGER,INTEGER,UNIQUEIDENTIFIER\n1,1775800888,a-1\n1,1775800889,a-2\n' \
    'sep=;\r\ncaller;start;seconds\r\n12025550117;10/04/2026 14:30;30\r\n' \
    "'12025550117','2026-04-10 14:30:45','a, b'\n" 'Date,Time,From,To\n4/10/2026,02:01:28 PM,1,2\n' '[{"start":1}]'
texts parser_own_format 'name = "own"\nreader = "delimited"\ndelimiter = ","\ndates = "dmy"\n[[layout]]\nname = "own"\ncolumns = [{ name = "d" }, { name = "t", type = "time", as = "start_time", date = "d" }, { name = "s", type = "seconds", as = "duration" }]\n---\n10/04/2026,14:01:28,0:02:27\n\0\1\0'
texts text_address 'https://user:p%40ss@api.example.com:8443/hook?token=x' 'http://127.0.0.1:3128' '10.0.0.0/8' \
    '2001:db8::/32' 'https://[::1]:443/' '192.0.2.7' 'user:password' '::ffff:192.0.2.1/96'
texts text_value 30s 250ms 512MiB 100/s 500/h 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' '-12.50' gbk utf-8 \
    'sha256//BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=' '1e5' 30d
texts text_line 'endpoint failing endpoint=a error="tcp: refused" count=3' 'a="b \\"c\\" d]" e=f' $'\u202e\e[31m'
texts event_amount '-12.50\n0.0001' '1.5E-7\n99999999999999999' 'caller_id=1\nduration=x\nconnected=true\nfoo=null'
texts event_filter 'connected = true\n"extra.lastapp" = ["Dial", "Que*"]\ncost = ">=0.5"\nend_reason = [486, 503]\n---\n{"connected":true,"cost":"0.50","end_reason":486,"extra":{"lastapp":"Dial"}}' \
    'account_id = "!=A"\n---\n{"account_id":null}'
texts event_recording '{caller_id}-{called_id}-{call_id}.wav\n---\nin/1-2-3.wav\nRIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x10\x00\x00'
texts delivery_outcome 120 'Thu, 09 Apr 2026 14:32:45 GMT' 'Thursday, 09-Apr-26 14:32:45 GMT' 'Thu Apr  9 14:32:45 2026' -1 99999999999999999999999
for way in 0 1 2; do
    number=0
    for answer in 'HTTP/1.1 503 No\r\nRetry-After: 120\r\nDate: Thu, 09 Apr 2026 14:32:45 GMT\r\n\r\nbusy' \
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' \
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n' \
        'HTTP/1.1 307 Go\r\nLocation: http://a.example/x\r\nContent-Length: 0\r\n\r\n' \
        'HTTP/1.0 200 Connection established\r\n\r\n\x15\x03\x03\x00\x02\x02\x28' \
        'HTTP/1.1 407 x\r\n\r\n' 'SSH-2.0-x\r\n' 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n'; do
        number=$((number + 1))
        printf '%b' "$answer\\x0$way" | put delivery_answer "answer-$number-$way"
    done
done
texts delivery_body '{"call_id":"1","caller_id":"12025550117","extra":{"a":[1,2.5,null,true]},"text":"\\"\\\\\\u0001é"}' '{}'
texts control_request '{"command":"status"}' '{"command":"pause","endpoint":"billing"}' '{"command":"tail","endpoint":null,"payload":true}' \
    '{"command":"dead-letters","filter":{"endpoint":"a","id":null,"reason":"x","older_than_secs":1,"newer_than_secs":2},"payload":false,"limit":10}' \
    '{"command":"replay","source":"a","from_unix_ms":1,"to_unix_ms":null,"file":null,"dry_run":true,"per_second":5}' \
    '{"v":1,"request":{"command":"apply","text":"node = 1"}}' '{"v":2,"request":{}}' '{"command":"adopt","old":"a","new":"b"}'
texts control_reply '{"item":{"caller_id":"112","to":"447700900999","a":[1.5e300]}}' '{"progress":{"done":1,"total":2,"waiting_for":null}}' \
    '{"refused":{"code":"usage","message":"no route to 447700900999"}}' '{"done":null}'
[ ! -f "$samples/top.json" ] || put control_reply top <"$samples/top.json"
texts derive_state 'join {"v":1,"t":1775835000000,"e":{"bye":false,"at":[1775835000000,true],"read_at":1775835000000,"from":"a","row":"{\\"@call_id\\":\\"x\\"}"}}' \
    'cell {"v":1,"t":1,"e":{"start":1775834100000,"of":"gw","calls":3,"answered":1,"bill_secs":60,"pdd_ms":[10,1],"cost":"1.5","costs":1}}' \
    'source {"v":1,"t":1,"e":{"seen_at":1775834100000,"silent":true,"beat":1,"summaries":2}}' \
    'balance {"v":1,"t":1,"e":{"steps":[{"at":"10","low":true,"told":true,"told_at":1}]}}'
texts receiver_fault 'status=503,retry_after=5s,rate=0.2' 'delay=2s' 'flap=7s' hang 'tls=expired' 'redirect=307' 'too-long=65536' \
    'poison=x' 'http://127.0.0.1:3000/webhook' 'http://[::1]/'
texts receiver_saved '{"at":"2026-04-09T14:30:45Z","ids":["evt_1"],"headers":[["content-type","application/json"]],"body":"{}"}' \
    '{"at":"x","ids":[],"headers":[],"body_base64":"AP8="}\n{"at":"2026-04-09T14:30:45Z","ids":[],"headers":[["a","b"]],"body":"x"}' \
    'POST /webhook HTTP/1.1\r\nswitchhook-received-at: 2026-04-09T14:30:45Z\r\nswitchhook-received-ids: ["a"]\r\nContent-Length: 2\r\n\r\n{}'
texts receiver_request \
    'POST /webhook HTTP/1.1\r\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\nwebhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\r\n{"test": 2432232314}' \
    'webhook-id: a\nwebhook-timestamp: 1614265330\nwebhook-signature: v1,x v1,y\n\n{"type":"cdr","timestamp":"x","data":{"id":"evt_1","sequence":7}}' \
    'X-VOS3000-Signature: 60df0aa1b3998813262454fcb79b8fac76ba38c20f52eca69c259c92096409ee\n\n{"id":"1","event":"cdr","sequence":1}' \
    'X-Vobiz-Signature: 60df\nX-Vobiz-Timestamp: 1614265330\n\n[{"Id":"1","Event":"cdr"}]' \
    'X-VoIPBIN-Signature: sha256=60df\n\n{"type":"cdr","data":{"event_id":"1","sequence":"3"}}' \
    'Content-Type: application/x-www-form-urlencoded\nX-VOS3000-Signature: 60\n\nid=1&event=cdr&data[call_id]=x%20y&data[a][b]=+' \
    'webhook-id: a\nwebhook-timestamp: 1\nwebhook-signature: v1,x\n\n{"specversion":"1.0","id":"a","type":"cdr","sequence":"7","data":{}}'
{ printf 'Content-Encoding: gzip\nX-VOS3000-Signature: 60\n\n'; printf '{"id":"1","event":"cdr"}' | gzip -c; } | put receiver_request gzip
texts listen_http 'POST /vos/PhoneOnline HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}' \
    'POST //vos//CallStateReport HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n' \
    'POST /vos/PhoneOnline HTTP/1.0\r\nContent-Length: 300000\r\n\r\n' 'POST /vos/PhoneOnline HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx'

# Configurations: the one that is shipped, with what is commented out and without, and each table of the README.
if [ -f packaging/switchhook.toml ]; then sample=packaging/switchhook.toml; else sample=$(find packaging -name '*.toml' | head -n 1); fi
if [ -n "$sample" ]; then
    put config_file shipped <"$sample"
    sed -E 's/^# ?([a-z_]+ *=|\[)/\1/' "$sample" | put config_file uncommented
fi
awk '/^```toml/ { inside = 1; number++; next } /^```/ { inside = 0 } inside { print > dir "/seed-readme-" number }' \
    dir="$corpus/config_file" README.md
source='[[source]]\nname = "cdr"\nfiles = ["/x/*.csv"]\ntimezone = "UTC"\n'
endpoint='[[endpoint]]\nname = "b"\nurl = "https://a.example/"\nsignature = "none"\n'
texts config_file "${source}format = \"vos3000-pipe\"\n$endpoint" \
    "${source}format = \"asterisk-cdr\"\nsilent_after = \"1h\"\nkeep = { connected = true }\nsummary = { every = \"15m\", by = \"gateway\" }\n${endpoint}rate_max = \"10/s\"\nconcurrency = 2\nevents = [\"cdr\"]\n" \
    '[queue]\ndisk_max = "1GiB"\n[log]\nto = "stderr"\n[limits]\nmemory_max = "64MiB"\n[metrics]\ntextfile = "/x/a.prom"\n' \
    "[[source]]\nname = \"h\"\nhttp = { listen = \"127.0.0.1:8731\" }\nformat = \"vos3000-push\"\n$endpoint"

# Rows of the store, by hand: version, then counts and texts with their length before them.
texts queue_position '\x01\x07' '\x01'
texts queue_meta '\x01' '\x02'
texts queue_recall '\x01\x05\x03' '\x01\x00\x00\x00\x07\x01' 00000017
texts queue_block '\x01AAAAAAAAAAAAAAAA\x03cdr\x05vos-1\x00\x00\x01\x9d\x00\x00\x00\x00\x03\x02A1\x02{}'
texts queue_cursor '\x00\x00\x00\x00\x00\x00\x00\x07\x00' '\x00\x00\x00\x00\x00\x00\x00\x07\x01\x01'
texts queue_waiting '\x01\x02\x04busy' '\x05\x01\x02\x02xyAAAAAAAAAAAAAAAA\x03cdr\x05vos-1\x00\x00\x01\x9d\x00\x00\x00\x00\x00\x02{}'
for target in queue_checkpoint queue_coverage queue_dead_letter queue_endpoint queue_key queue_source_totals queue_void; do
    texts "$target" '\x01' '\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01' '\x02\x00\x00\x00\x00\x00\x00\x00\x01'
done
