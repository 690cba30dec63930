# What the install tests are written with; sourced.
# shellcheck shell=bash

checks=0
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
step() { echo "-- $*"; }
expect() {
    local what=$1
    shift
    "$@" >/tmp/expect.$$ 2>&1 || { cat /tmp/expect.$$ >&2; fail "$what: $*"; }
    rm -f /tmp/expect.$$
    checks=$((checks + 1))
}
refuse() {
    local what=$1
    shift
    ! "$@" >/dev/null 2>&1 || fail "unexpectedly $what: $*"
    checks=$((checks + 1))
}
expect_is() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
    checks=$((checks + 1))
}
# Looks again and again for up to 60 s.
wait_for() {
    local what=$1
    shift
    for _ in $(seq 300); do
        if "$@" >/dev/null 2>&1; then
            checks=$((checks + 1))
            return
        fi
        sleep 0.2
    done
    fail "waited 60 s for $what"
}
passed() { echo "$checks checks passed"; }
