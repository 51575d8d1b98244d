#!/usr/bin/env bash
# Makes the packages of a built tree: packaging/build.sh deb|tarball BUILD_DIR FOLDER
#
# The Debian package takes its libraries from Debian. The tarball brings them along: those that Debian has as archives
# are linked into its binary (odradek-portable in meson.build), the others lie beside it; it needs the C library only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=$1 built=$2 out=$3
version=$(sed -n "s/^project('odradek'.* version: '\([^']*\)'.*/\1/p" meson.build)
arch=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
umask 022

# The binary, its manual pages, and what shells complete.
lay_out() { # lay_out BINARY PREFIX
    local man="$2/share/man/man1" command
    install -D -m 755 "$1" "$2/bin/odradek"
    strip --strip-unneeded "$2/bin/odradek"
    mkdir -p "$man" "$2/share/bash-completion/completions" "$2/share/zsh/vendor-completions"
    "$1" man | gzip -9n >"$man/odradek.1.gz"
    for command in $("$1" man | sed -n 's/^\.BR odradek\\-\([a-z]*\) .*/\1/p'); do
        "$1" man "$command" | gzip -9n >"$man/odradek-$command.1.gz"
    done
    "$1" completion bash >"$2/share/bash-completion/completions/odradek"
    "$1" completion zsh >"$2/share/zsh/vendor-completions/_odradek"
}

deb() {
    local root="$stage/root" depends
    lay_out "$built/odradek" "$root/usr"
    install -D -m 644 packaging/odradek.service "$root/lib/systemd/system/odradek.service"
    install -D -m 644 packaging/server.properties "$root/etc/odradek/server.properties"
    install -D -m 644 LICENSE "$root/usr/share/doc/odradek/copyright"
    install -d "$root/DEBIAN" "$stage/debian"
    install -m 755 packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
    echo /etc/odradek/server.properties >"$root/DEBIAN/conffiles"
    printf 'Source: odradek\n\nPackage: odradek\nArchitecture: any\n' >"$stage/debian/control"
    depends=$(cd "$stage" && dpkg-shlibdeps -O root/usr/bin/odradek 2>shlibdeps.log | sed -n 's/^shlibs:Depends=//p')
    [ -n "$depends" ] || { cat "$stage/shlibdeps.log" >&2; exit 1; }
    cat >"$root/DEBIAN/control" <<TEXT
Package: odradek
Version: $version
Architecture: $arch
Section: net
Priority: optional
Maintainer: The Odradek developers <odradek@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: adduser, $depends
Recommends: librdkafka1
Description: event-streaming broker that speaks the Apache Kafka protocol
 One small binary: broker, controller, command line and dashboard. The clients
 of Apache Kafka 4.3 connect to it unchanged, and it keeps its data in Kafka's
 own files.
 .
 Producing and consuming on the command line need librdkafka1.
TEXT
    find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group --build "$root" "$out/odradek_${version}_$arch.deb" >/dev/null
    echo "$out/odradek_${version}_$arch.deb"
}

tarball() {
    local name="odradek-$version-linux-$(uname -m)" root library
    root="$stage/$name"
    lay_out "$built/odradek-portable" "$root"
    mkdir -p "$root/lib/odradek"
    ldd "$root/bin/odradek" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | while read -r library; do
        case $(basename "$library") in
        libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.*) ;;
        *) install -m 644 "$(readlink -f "$library")" "$root/lib/odradek/$(basename "$library")" ;;
        esac
    done
    install -m 644 LICENSE README.md "$root/"
    tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
    echo "$out/$name.tar.gz"
}

mkdir -p "$out"
"$kind"
