# Nothing but shadow-utils: CentOS 7 has no systemd-sysusers.
getent group switchhook >/dev/null || groupadd -r switchhook
getent passwd switchhook >/dev/null ||
    useradd -r -g switchhook -M -d /var/lib/switchhook -s /sbin/nologin -c "switchhook delivery agent" switchhook
exit 0
