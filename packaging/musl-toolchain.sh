#!/bin/sh
# Static musl builds on a Debian machine where `rustup target add` is not to be had.
# Compiles Rust's standard library once per target from Debian's own Rust sources and uses zig as C
# compiler and linker. Safe to run again: steps that are done are skipped.
#
#   packaging/musl-toolchain.sh [TARGET...]     default: x86_64 and aarch64
#   . "$PREFIX/env.sh"; cargo build --release --locked --target TARGET
#
# Needs root for apt-get, 4 to 6 minutes and 900 MB the first time. $MUSL_TOOLCHAIN is PREFIX.
set -eu

PREFIX=${MUSL_TOOLCHAIN:-$HOME/.local/share/musl-toolchain}
# Not newer: from 0.16 on zig replaces musl's malloc with its own, whose calloc writes to every
# page (a daemon with this store: 26.8 MB resident with 0.17, 4.1 MB with 0.14).
ZIG=0.14.1
ZIGBUILD=0.24.0
# Counts changes of how the standard library is built below.
STD=3
here=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- x86_64-unknown-linux-musl aarch64-unknown-linux-musl

# The oldest compiler that will do, from the one place that says so.
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")
is_new_enough() {
    [ -x /usr/bin/rustc ] && [ -d "/usr/src/rustc-$(/usr/bin/rustc -V | cut -d' ' -f2)/library" ] &&
        [ "$(printf '%s\n' "$oldest" "$(/usr/bin/rustc -V | cut -d' ' -f2)" | sort -V | head -n 1)" = "$oldest" ]
}
if ! is_new_enough || ! [ -x /usr/bin/cargo ] || ! python3 -m venv -h >/dev/null 2>&1; then
    # A list of packages that is old offers a compiler that is too old.
    apt-get -o DPkg::Lock::Timeout=300 update -qq
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
        rustc-web cargo-web rust-web-src python3-venv >/dev/null
fi
is_new_enough || { echo "Debian's Rust is older than $oldest or its source is missing" >&2; exit 1; }
vers=$(/usr/bin/rustc -V | cut -d' ' -f2)
src=/usr/src/rustc-$vers/library
[ -f "$src/sysroot/Cargo.toml" ] || { echo "no standard library source in $src" >&2; exit 1; }

# Another standard library is another place: cargo then sees that everything has to be built again.
sysroot=$PREFIX/sysroot-$vers-$STD

mkdir -p "$PREFIX/bin"
if [ "$(cat "$PREFIX/zig/.pinned" 2>/dev/null)" != "$ZIG $ZIGBUILD" ]; then
    python3 -m venv --clear "$PREFIX/zig"
    "$PREFIX/zig/bin/pip" install -q --disable-pip-version-check "ziglang==$ZIG" "cargo-zigbuild==$ZIGBUILD"
    echo "$ZIG $ZIGBUILD" >"$PREFIX/zig/.pinned"
fi

env=$PREFIX/env.sh
printf 'export RUSTUP_TOOLCHAIN=debian\n' >"$env.new"
for t; do
    z=$(echo "$t" | sed 's/-unknown//; s/^armv7/arm/')
    u=$(echo "$t" | tr a-z- A-Z_) l=$(echo "$t" | tr - _)
    cpu=; case $t in armv7*) cpu='-mcpu=generic+v7a+vfp3-d32+thumb2-neon' ;; esac
    for c in cc c++; do
        printf '#!/bin/sh\nexport CARGO_ZIGBUILD_ZIG_COMMAND="%s/zig/bin/python3" CARGO_ZIGBUILD_ZIG_COMMAND_ARGS="-m ziglang" CARGO_ZIGBUILD_ZIG_VERSION=%s\nexec "%s/zig/bin/cargo-zigbuild" zig %s -- -fno-sanitize=all -target %s %s "$@"\n' \
            "$PREFIX" "$ZIG" "$PREFIX" "$c" "$z" "$cpu" >"$PREFIX/bin/$t-$c"
    done
    printf '#!/bin/sh\nexec "%s/zig/bin/python3" -m ziglang ar "$@"\n' "$PREFIX" >"$PREFIX/bin/$t-ar"
    # zig knows what a static program is linked from, but not every option of the linker inside it.
    # So it links once, says how, and its linker does it again: equal functions become one, and the
    # table of relocations is packed. That is a tenth of the program.
    cat >"$PREFIX/bin/$t-link" <<LINK
#!/bin/sh
log=\$(mktemp)
trap 'rm -f "\$log"' EXIT
ZIG_VERBOSE_LINK=1 "$PREFIX/bin/$t-cc" "\$@" 2>"\$log" || { code=\$?; cat "\$log" >&2; exit \$code; }
line=\$(sed -n 's/^ld\.lld //p' "\$log" | tail -n 1)
[ -n "\$line" ] || { echo "zig does not say how it links" >&2; exit 1; }
# shellcheck disable=SC2086
"$PREFIX/zig/bin/python3" -m ziglang ld.lld \$line --icf=all --pack-dyn-relocs=relr -O2
LINK
    chmod +x "$PREFIX/bin/$t"-*
    # -pie: zig ignores -static-pie and would make a program with a fixed address.
    flags="--sysroot=$sysroot -Clink-self-contained=no -Clink-arg=-pie"
    {
        printf 'export CARGO_TARGET_%s_LINKER="%s/bin/%s-link"\n' "$u" "$PREFIX" "$t"
        # The caller may add to these; a plain RUSTFLAGS would put itself in their place.
        printf 'export CARGO_TARGET_%s_RUSTFLAGS="%s ${MUSL_RUSTFLAGS-}" CARGO_TARGET_%s_RUSTDOCFLAGS="%s"\n' "$u" "$flags" "$u" "$flags"
        printf 'export CC_%s="%s/bin/%s-cc" CXX_%s="%s/bin/%s-c++" AR_%s="%s/bin/%s-ar"\n' \
            "$l" "$PREFIX" "$t" "$l" "$PREFIX" "$t" "$l" "$PREFIX" "$t"
        q=qemu-$(echo "$t" | sed 's/-.*//; s/^armv7/arm/')-static
        case $t in x86_64*) ;; *) printf 'export CARGO_TARGET_%s_RUNNER=%s\n' "$u" "$q" ;; esac
    } >>"$env.new"

    lib=$sysroot/lib/rustlib/$t/lib
    [ "$(cat "$lib/.version" 2>/dev/null)" = "$vers $STD" ] && continue
    work=$PREFIX/build/$t
    rm -rf "$work" "$lib"
    mkdir -p "$work" "$lib"
    # Small, and without backtraces: a stripped program has no names to show.
    # The few crates std depends on come from the registry, pinned by the source's Cargo.lock.
    ( cd "$work" && CARGO_PROFILE_RELEASE_OPT_LEVEL=s RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR="$work" \
        RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$HOME/.cargo=/cargo --remap-path-prefix=/usr/src=/src" \
        __CARGO_DEFAULT_LIB_METADATA=musl \
        /usr/bin/cargo build --release --target "$t" --locked \
            --manifest-path "$src/sysroot/Cargo.toml" --features panic-unwind,optimize_for_size )
    cp "$work/$t/release/deps"/*.rlib "$lib/"
    echo "$vers $STD" >"$lib/.version"
    rm -rf "$work"
done
mv "$env.new" "$env"
if command -v rustup >/dev/null; then
    rustup toolchain list | grep -q '^debian' || rustup toolchain link debian /usr
fi
echo "rustc $vers, zig $ZIG; targets: $*"
echo "source $env, then: cargo build --release --locked --target TARGET"
