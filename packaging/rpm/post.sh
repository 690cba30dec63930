# VOS3000 writes files that only its own group can read.
if getent group kunshi >/dev/null && ! id -nG switchhook | grep -qw kunshi; then
    usermod -a -G kunshi switchhook || :
fi
is_configured=no
if grep -Eqs '^[[:space:]]*\[\[(source|endpoint)\]\]' /etc/switchhook/switchhook.toml /etc/switchhook/conf.d/*.toml; then
    is_configured=yes
fi
if command -v systemctl >/dev/null 2>&1; then
    systemctl daemon-reload >/dev/null 2>&1 || :
    if [ "$1" -eq 1 ]; then
        # The package's preset enables it, unless the administrator's says otherwise.
        systemctl --no-reload preset switchhook.service >/dev/null 2>&1 || :
        if [ "$is_configured" = yes ] && systemctl --quiet is-enabled switchhook.service 2>/dev/null; then
            systemctl start switchhook.service >/dev/null 2>&1 || :
        fi
    fi
fi
if [ "$is_configured" = no ]; then
    echo "switchhook: nothing is configured yet; see the four steps in /etc/switchhook/switchhook.toml"
fi
exit 0
