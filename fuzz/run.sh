#!/usr/bin/env bash
# Runs every fuzz target in turn, one at a time, at the lowest priority, and prints a table.
#
#   fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]
#
# SECONDS_PER_TARGET is 60 unless it is given; all targets are run unless some are named.
#   FUZZ_ROUNDS=1     how often it goes round; 0 goes on until it is told to stop (SIGTERM, SIGINT)
#   FUZZ_TABLE=FILE   where the table is written after every target, beside the end's print
#   FUZZ_BUILD=no     runs what was built last
# Inputs, counts and findings are in target-fuzz/{corpus,counts,findings}/TARGET and go on from run to
# run. It ends with 1 when there is a finding.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
rounds=${FUZZ_ROUNDS:-1}
work=$PWD/target-fuzz
built=$work/x86_64-unknown-linux-gnu/release
table=${FUZZ_TABLE:-$work/table.txt}
renice -n 19 $$ >/dev/null

# Our own code has no unsafe, so what the sanitizers find cannot be in it, and without them a run is
# several times faster; panics, failed assertions, overflows, hangs and memory are seen all the same.
if [ "${FUZZ_BUILD:-yes}" = yes ]; then
    CARGO_TARGET_DIR=$work CARGO_BUILD_JOBS=1 cargo +nightly fuzz build --sanitizer none any
    # A copy: the next build does not change what runs.
    cp -f "$built/any" "$work/.run" && mv -f "$work/.run" "$work/run"
fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for program in fuzz/targets/*.rs; do
        name=$(basename "$program" .rs)
        [ "$name" = any ] || targets+=("$name")
    done
fi
[ -d "$work/corpus" ] || fuzz/seed.sh "$work/corpus"
mkdir -p "$work"/{corpus,counts,findings,logs}

# Longest input of a target, in bytes, and the longest one may take, in seconds.
length_of() {
    case $1 in
    parser_* | derive_* | config_file | event_push) echo 4096 ;;
    source_gunzip | receiver_* | delivery_body | listen_http | control_reply) echo 4096 ;;
    text_* | parser_time | event_amount | delivery_outcome | receiver_fault) echo 512 ;;
    *) echo 2048 ;;
    esac
}

found() { find "$work/findings/$1" -type f 2>/dev/null | wc -l; }

# The table, from the counts of all targets.
tell() {
    {
        printf '%-20s %14s %8s %8s %9s %9s %7s %8s\n' target executions per_s cov_from cov features inputs findings
        local sum=0 findings=0 name executions spent from cov features
        for name in "${targets[@]}"; do
            [ -f "$work/counts/$name" ] || continue
            read -r executions spent from cov features <"$work/counts/$name"
            printf '%-20s %14d %8d %8d %9d %9d %7d %8d\n' "$name" "$executions" \
                $((executions / (spent > 0 ? spent : 1))) "$from" "$cov" "$features" \
                "$(find "$work/corpus/$name" -type f | wc -l)" "$(found "$name")"
            sum=$((sum + executions)) findings=$((findings + $(found "$name")))
        done
        printf '%-20s %14d %51d\n' "in all" "$sum" "$findings"
        date -u '+as of %F %T UTC'
    } >"$table.new"
    mv -f "$table.new" "$table"
}

child=
stopped=no
trap 'stopped=yes; [ -z "$child" ] || kill -INT "$child" 2>/dev/null || true' TERM INT

slice() {
    local name=$1 log=$work/logs/$1 dictionary=()
    mkdir -p "$work/corpus/$name" "$work/findings/$name"
    [ ! -f "fuzz/dictionaries/$name.dict" ] || dictionary=("-dict=fuzz/dictionaries/$name.dict")
    local began=$SECONDS
    FUZZ_TARGET=$name "$work/run" "$work/corpus/$name" "${dictionary[@]}" -max_total_time="$seconds" \
        -max_len="$(length_of "$name")" -timeout=30 -rss_limit_mb=1024 -malloc_limit_mb=512 \
        -report_slow_units=20 -print_final_stats=1 -reload=0 \
        -artifact_prefix="$work/findings/$name/" >"$log" 2>&1 &
    child=$!
    wait "$child" || true
    # Told to stop, the wait ends before the fuzzer has.
    wait "$child" 2>/dev/null || true
    child=
    local executions=0 spent=0 from=0 cov=0 features=0 now first reached
    [ ! -f "$work/counts/$name" ] || read -r executions spent from cov features <"$work/counts/$name"
    now=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    first=$(grep -m 1 -a 'INITED' "$log" | grep -oE 'cov: [0-9]+' | cut -d' ' -f2) || true
    reached=$(grep -a 'cov: ' "$log" | tail -n 1 | grep -oE '(cov|ft): [0-9]+' | cut -d' ' -f2 | tr '\n' ' ') || true
    executions=$((executions + ${now:-0})) spent=$((spent + SECONDS - began))
    [ "$from" != 0 ] || from=${first:-0}
    [ -z "$reached" ] || read -r cov features <<<"$reached"
    echo "$executions $spent $from $cov $features" >"$work/counts/$name"
}

# Keeps of a target's inputs those that reach something.
minimise() {
    local name=$1
    rm -rf "$work/corpus/.$name"
    mkdir "$work/corpus/.$name"
    if FUZZ_TARGET=$name "$work/run" -merge=1 -rss_limit_mb=1024 -timeout=30 \
        -artifact_prefix="$work/findings/$name/" \
        "$work/corpus/.$name" "$work/corpus/$name" >"$work/logs/$name.merge" 2>&1; then
        rm -rf "$work/corpus/$name"
        mv "$work/corpus/.$name" "$work/corpus/$name"
    else
        rm -rf "$work/corpus/.$name"
    fi
}

for ((round = 1; rounds == 0 || round <= rounds; round++)); do
    for name in "${targets[@]}"; do
        [ $stopped = no ] || break 2
        slice "$name"
        tell
    done
    if ((round % 8 == 0)); then for name in "${targets[@]}"; do [ $stopped = yes ] || minimise "$name"; done; fi
done
if [ $stopped = no ]; then for name in "${targets[@]}"; do minimise "$name"; done; fi
tell
cat "$table"
[ -z "$(find "$work/findings" -type f | head -n 1)" ]
