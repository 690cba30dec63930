#!/bin/bash
# Installs, upgrades and erases the .rpm with its scriptlets in a root file system that is not
# running, and starts the service of the installed package in between.
#
#   packaging/tests/rpm.sh ROOT OLD.rpm NEW.rpm
#
# ROOT is a root of root.sh; the machine's own rpm works on it from outside. The root has the
# programs the scriptlets need, but not as packages of rpm: hence --nodeps.
set -euo pipefail
root=$(realpath "$1") old=$(realpath "$2") new=$(realpath "$3")
here=$(dirname "$(realpath "$0")")
. "$here/expect.sh"

run() { "$here/root.sh" run "$root" "$@"; }
inside() { chroot "$root" "$@"; }
rpm_() { rpm --root "$root" "$@"; }

step "the payload is one that rpm 4.11 reads"
expect_is "payload" "gzip cpio" "$(rpm -qp --qf '%{PAYLOADCOMPRESSOR} %{PAYLOADFORMAT}' "$new" 2>/dev/null)"
refuse "asking for newer features" sh -c "rpm -qp --requires '$new' 2>/dev/null | grep -E 'PayloadIsZstd|PayloadIsXz|FileDigests.*5|LargeFiles|RichDependencies'"

step "installed by rpm --root, with its scriptlets"
inside groupadd -f kunshi
rpm_ -i --nodeps "$old" | tee "$root.said"
expect "the operator is told what to do" grep -q "four steps in /etc/switchhook/switchhook.toml" "$root.said"
expect "enabled by its preset" inside systemctl is-enabled --quiet switchhook
expect "in the switch's group" sh -c "chroot '$root' id -nG switchhook | grep -qw kunshi"
expect_is "modes" "2750 root switchhook
750 root switchhook
640 root switchhook
750 switchhook switchhook" "$(inside stat -c '%a %U %G' /etc/switchhook /etc/switchhook/conf.d /etc/switchhook/switchhook.toml /var/lib/switchhook)"
expect "nothing differs from the package" rpm_ -V --nodeps switchhook

step "boots into the idle service"
"$here/root.sh" start "$root"
expect "active" run systemctl is-active --quiet switchhook
wait_for "the word idle" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q 'idle: no source'"
"$here/root.sh" stop "$root"

step "upgraded: configuration and state are the operator's"
inside sh -c 'echo "node = \"vos-1\"" >>/etc/switchhook/switchhook.toml; echo kept >/var/lib/switchhook/kept'
rpm_ -U --nodeps "$new"
expect "configuration" inside grep -q vos-1 /etc/switchhook/switchhook.toml
expect "state" inside test -f /var/lib/switchhook/kept
expect "still enabled" inside systemctl is-enabled --quiet switchhook

step "erased: disabled, state and configuration kept"
rpm_ -e switchhook 2>"$root.said" || { cat "$root.said"; fail "not erased"; }
refuse "left a program" inside test -e /usr/bin/switchhook
refuse "left enabled" inside test -e /etc/systemd/system/multi-user.target.wants/switchhook.service
expect "configuration" inside test -f /etc/switchhook/switchhook.toml.rpmsave
expect "state" inside test -f /var/lib/switchhook/kept
passed
