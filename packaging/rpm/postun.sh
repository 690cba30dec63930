if command -v systemctl >/dev/null 2>&1; then
    systemctl daemon-reload >/dev/null 2>&1 || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart switchhook.service >/dev/null 2>&1 || :
    fi
fi
exit 0
