#!/bin/bash
# Installs, configures, upgrades with a backlog, removes and purges the .deb in a booted Debian.
#
#   packaging/tests/deb.sh ROOT OLD.deb NEW.deb
#
# ROOT is a booted root of root.sh, which is not to be used for anything else afterwards.
set -euo pipefail
root=$(realpath "$1") old=$(realpath "$2") new=$(realpath "$3")
here=$(dirname "$(realpath "$0")")
. "$here/expect.sh"

run() { "$here/root.sh" run "$root" "$@"; }
property() { run systemctl show -p "$1" --value switchhook; }
status() { property StatusText; }
cdr=/home/kunshi/mbx3000/cdr

step "a switch with files that only its own group can read"
run groupadd kunshi
run useradd -m -g kunshi -d /home/kunshi kunshi
run install -d -o kunshi -g kunshi -m 0750 /home/kunshi/mbx3000 $cdr
run chmod 0750 /home/kunshi
cp "$old" "$root/root/old.deb"
cp "$new" "$root/root/new.deb"

step "installed, enabled, not started"
run dpkg -i /root/old.deb | tee "$root.said"
expect "the operator is told what to do" grep -q "four steps in /etc/switchhook/switchhook.toml" "$root.said"
expect "enabled" run systemctl is-enabled --quiet switchhook
refuse "started though nothing is configured" run systemctl is-active --quiet switchhook
expect "in the switch's group" sh -c "'$here/root.sh' run '$root' id -nG switchhook | grep -qw kunshi"
expect_is "modes" "2750 root switchhook
750 root switchhook
640 root switchhook
750 switchhook switchhook" "$(run stat -c '%a %U %G' /etc/switchhook /etc/switchhook/conf.d /etc/switchhook/switchhook.toml /var/lib/switchhook)"
expect "the configuration as shipped is no mistake" run switchhook check

step "started all the same, as at the next boot: idle"
run systemctl start switchhook
wait_for "the word idle" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q 'idle: no source'"
expect_is "main process runs as" switchhook "$(run stat -c %U "/proc/$(property MainPID)")"
run systemctl stop switchhook

step "configured by the steps in the file"
run sed -i 's/^#\([^ #]\)/\1/' /etc/switchhook/switchhook.toml
run sed -i '/<<< where/s/\[.*\]/["\/home\/kunshi\/mbx3000\/cdr\/*.csv"]/; /<<< what/s/"Asia.*a"/"UTC"/; /<<< who/s|"https.*webhook"|"http://127.0.0.1:9000/webhook"|; s/^format = .*/format = "vos3000-csv"/; s/^start = .*/start = "beginning"/' /etc/switchhook/switchhook.toml
run switchhook secret generate --output /etc/switchhook/billing.secret
expect_is "the agent may read the secret" "640 root switchhook" "$(run stat -c '%a %U %G' /etc/switchhook/billing.secret)"
python3 "$here/rows.py" 40 >"$root.csv"
run install -o kunshi -g kunshi -m 0660 /dev/stdin $cdr/cdr_1.csv <"$root.csv"
expect "check" run switchhook check
run systemctl start switchhook
wait_for "a backlog, the receiver is down" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q '40 rows read, 0 delivered, 40 waiting'"
expect_is "user's own directories alone are writable" "" "$(run sh -c 'nsenter -t $(systemctl show -p MainPID --value switchhook) -m -- sh -c "touch /etc/x /home/kunshi/x /usr/x 2>/dev/null && echo writable"' || :)"

step "upgraded with a backlog"
before=$(property MainPID)
run dpkg -i /root/new.deb >/dev/null
expect "active" run systemctl is-active --quiet switchhook
refuse "restarted" [ "$before" = "$(property MainPID)" ]
expect "the configuration is the operator's" run grep -q 127.0.0.1:9000 /etc/switchhook/switchhook.toml
wait_for "the backlog" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q '40 rows read, 0 delivered, 40 waiting'"
run sh -c 'switchhook receive --listen 127.0.0.1:9000 --profile vos3000 --secret-file /etc/switchhook/billing.secret >/root/received 2>&1 &'
wait_for "delivery of all of it" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q '40 rows read, 40 delivered, 0 waiting'"
expect_is "verified" 40 "$(run grep -c '200 signature ok' /root/received)"

step "killed, and hung"
before=$(property MainPID)
run kill -KILL "$before"
wait_for "another process" sh -c "p=\$('$here/root.sh' run '$root' systemctl show -p MainPID --value switchhook) && [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]"
wait_for "active" run systemctl is-active --quiet switchhook
run mkdir -p /run/systemd/system/switchhook.service.d
run sh -c 'printf "[Service]\nWatchdogSec=2\nRestartSec=1\n" >/run/systemd/system/switchhook.service.d/short.conf'
run systemctl daemon-reload
run systemctl restart switchhook
before=$(property MainPID)
run kill -STOP "$before"
wait_for "the watchdog to replace it" sh -c "p=\$('$here/root.sh' run '$root' systemctl show -p MainPID --value switchhook) && [ \"\$p\" != 0 ] && [ \"\$p\" != $before ]"
run rm -r /run/systemd/system/switchhook.service.d
run systemctl daemon-reload
wait_for "active" run systemctl is-active --quiet switchhook
expect "reload" run systemctl reload switchhook

step "a configuration that is wrong is not tried again and again"
run sh -c 'echo "nonsense = 1" >/etc/switchhook/conf.d/wrong.toml'
run systemctl restart switchhook || :
wait_for "failed for good" run systemctl is-failed --quiet switchhook
expect_is "exit code" 78 "$(property ExecMainStatus)"
run rm /etc/switchhook/conf.d/wrong.toml

step "what the administrator disabled stays disabled"
run systemctl disable --quiet switchhook
run systemctl reset-failed switchhook
run dpkg -i /root/new.deb >/dev/null
refuse "enabled" run systemctl is-enabled --quiet switchhook
run systemctl enable --quiet switchhook
run systemctl restart switchhook

step "the unit, by systemd's own tools"
expect "verify" run systemd-analyze verify --man=no /lib/systemd/system/switchhook.service
# Exposure 1.5 of 10 at most; a threshold counts tenths.
run systemd-analyze security --offline=true --threshold=15 /lib/systemd/system/switchhook.service >"$root.security" ||
    { cat "$root.security"; fail "the unit is more exposed than 1.5"; }
tail -n 1 "$root.security"

step "removed: stopped, state and configuration kept"
run dpkg -r switchhook >/dev/null
refuse "running" run pgrep -f 'switchhook run'
expect "state" run test -d /var/lib/switchhook/queue
expect "secret" run test -f /etc/switchhook/billing.secret
run dpkg -i /root/new.deb >/dev/null
expect "started again, as it was configured" run systemctl is-active --quiet switchhook
wait_for "the account" sh -c "'$here/root.sh' run '$root' systemctl show -p StatusText switchhook | grep -q '40 rows read, 40 delivered, 0 waiting'"

step "purged: nothing left but the user"
run dpkg -P switchhook >/dev/null
expect_is "left" "" "$(run sh -c 'ls -d /var/lib/switchhook /etc/switchhook /run/switchhook /lib/systemd/system/switchhook.service /etc/systemd/system/*/switchhook.service /etc/systemd/system/switchhook.service 2>/dev/null' || :)"
passed
