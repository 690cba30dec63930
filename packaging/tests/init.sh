#!/bin/bash
# The SysV script: starts, restarts after a crash, says how things are, stops.
#
#   packaging/tests/init.sh SWITCHHOOK      (root; uses no file outside a temporary directory)
set -euo pipefail
program=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
. "$here/expect.sh"
dir=$(mktemp -d /var/tmp/switchhook-init.XXXXXX)
chmod 755 "$dir"
mkdir -p "$dir/state"
chown nobody "$dir/state"
printf 'state_dir = "%s/state"\n' "$dir" >"$dir/switchhook.toml"
cp "$program" "$dir/switchhook"
printf 'PROGRAM=%s/switchhook CONFIG=%s/switchhook.toml RUN_AS=nobody RUN_DIR=%s/run\n' "$dir" "$dir" "$dir" >"$dir/defaults"
sed "s|/etc/default/switchhook|$dir/defaults|g" "$here/../examples/switchhook.init" >"$dir/init"
chmod 755 "$dir/init"
trap '"$dir/init" stop >/dev/null 2>&1; rm -rf "$dir"' EXIT

agent() { pgrep -f "^$dir/switchhook run"; }
refuse "running" "$dir/init" status
expect "start" "$dir/init" start
wait_for "the agent" agent
expect "status" "$dir/init" status
expect_is "runs as" nobody "$(stat -c %U "/proc/$(agent)")"
before=$(agent)
kill -KILL "$before"
wait_for "another one after a crash" sh -c "p=\$(pgrep -f '^$dir/switchhook run') && [ \$p != $before ]"
expect "reload" "$dir/init" reload
expect "stop" "$dir/init" stop
refuse "running" agent
expect_is "status when stopped" 3 "$("$dir/init" status >/dev/null; echo $?)"
passed
