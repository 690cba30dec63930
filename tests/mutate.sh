#!/usr/bin/env bash
# Shows that the tests of the queue's durability can fail: breaks the code in the ways that matter,
# one at a time, in a copy, and runs the tests that must notice. Takes some minutes; needs what the
# drills need (root, loop devices, strace).
#
#   tests/mutate.sh            all of them
#   tests/mutate.sh no-sync    one of them
#   tests/mutate.sh --apply    only shows that each still applies to the code, and runs nothing
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# Of its own: cargo tells copies of one tree apart by time alone.
export CARGO_TARGET_DIR=$root/target/mutate CARGO_TERM_COLOR=never RUST_BACKTRACE=0
wanted=${1:-} only_apply=''
[ "$wanted" != --apply ] || only_apply=1 wanted=''
unnoticed=0 tried=''

# mutation NAME FILE PERL TEST...: the tests pass as things are, and each fails once PERL has been
# applied to FILE. PERL dies where one of its changes does not apply.
mutation() {
    local name=$1 file=$2 change=$3
    shift 3
    [ -z "$wanted" ] || [ "$wanted" = "$name" ] || return 0
    tried=1
    if ! perl -0pe "$change" "$file" >"$copy/mutated"; then
        echo "$name: does not apply to $file any more"
        unnoticed=$((unnoticed + 1))
        return
    fi
    [ -z "$only_apply" ] || return 0
    rm -rf "$copy/tree" && mkdir "$copy/tree"
    git ls-files -zco --exclude-standard | xargs -0 cp --parents -t "$copy/tree"
    cp "$copy/mutated" "$copy/tree/$file"
    local test
    for test in "$@"; do
        if ! (cd "$copy/tree" && cargo test --locked ${test%% *} --no-run) >"$copy/build" 2>&1; then
            tail -n 20 "$copy/build"
            echo "$name: does not build"
            unnoticed=$((unnoticed + 1))
            return
        fi
        if (cd "$copy/tree" && SWITCHHOOK_SEED=1 cargo test --locked $test) >"$copy/log" 2>&1; then
            grep '^SKIPPED' "$copy/log"
            echo "$name: NOT noticed by $test"
            unnoticed=$((unnoticed + 1))
        else
            echo "$name: noticed by $test"
        fi
    done
}

# What returned is in the page cache only.
mutation no-sync src/queue/generation.rs \
    's/= self\.file\.sync_data\(\);/= io::Result::Ok(());/ or die' \
    '--lib queue::drill::power::whatever' \
    '--test=it strace::'

# A position is durable before its events are, each in a commit of its own.
ahead='s/put_positions\(&mut writes, batch, &mut writer\)/put_positions(&mut Writes::default(), batch, &mut writer)/ or die;'
ahead+='s/(let mut writes = Writes::default\(\);\s*for \(batch, \(_, blocks\)\) in batches\.iter\(\)\.zip\(packed\.batches\) \{)/'
ahead+='for batch in batches { let mut ahead = Writes::default(); put_positions(&mut ahead, batch, &mut writer)?; writer.head()?.HOW(ahead)?; } $1/ or die'
mutation position-first src/queue/commit.rs "${ahead/HOW/write}" \
    '--lib queue::drill::kill' \
    '--lib queue::drill::power::whatever' \
    '--test=it strace::'

# The same with one sync for both: only a cut between the two shows it.
mutation position-apart src/queue/commit.rs "${ahead/HOW/apply}" \
    '--lib queue::drill::torn' \
    '--lib queue::drill::power::whatever'

# A block is believed whatever its checksum says.
mutation no-checksum src/queue/block.rs \
    's/\(written == checksum\(first, sealed\)\)\.then_some\(sealed\)/(written == written || first.0 == u64::MAX).then_some(sealed)/ or die' \
    '--lib queue::block::' \
    '--lib queue::mend'

# An event is given up before its dead letter is on disk.
mutation no-dead-letter src/queue/dead_letter.rs \
    's/let written = head\.write\(writes\);/let written = head.apply(writes);/ or die' \
    '--lib queue::drill::power::whatever'

# What an opening that was cut short left behind stays there.
mutation half-snapshot src/queue/generation.rs \
    's/remove_half_snapshots\(&directory\)\.map_err\(disk\("clean", &directory\)\)\?;// or die' \
    '--lib queue::tests::an_opening_cut_short'

echo
if [ -z "$tried" ]; then
    echo "there is no mutation $wanted" >&2
    exit 64
fi
if [ "$unnoticed" -gt 0 ]; then
    echo "$unnoticed not noticed"
    exit 1
fi
[ -n "$only_apply" ] && echo "every mutation applies" || echo "every mutation was noticed"
