#!/usr/bin/env bash
# Fetches an Apache Flink into the cache, from the Python package index, and prints its folder: jars come with one package, scripts
# with another; together they make a home of Flink that `statebench flink run --flink-home` takes.
#
# usage: scripts/flink.sh [VERSION]     2.3.0 where it is not given; 1.20.5 works too
set -euo pipefail
version=${1:-2.3.0}
cache=${STATEBENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/statebench}
home=$cache/flink-$version
if [ ! -e "$home/complete" ]; then
    printf '==> fetching Flink %s into %s\n' "$version" "$home" >&2
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/fetch-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    pip=(python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work")
    # The scripts are the same in the packages of all platforms.
    "${pip[@]}" --only-binary=:all: --python-version 3.11 --platform manylinux2014_x86_64 "apache-flink==$version" >&2
    case $version in
        1.*) "${pip[@]}" "apache-flink-libraries==$version" >&2 ;;
        *) "${pip[@]}" --only-binary=:all: "apache-flink-libraries==$version" >&2 ;;
    esac
    mkdir "$work/unpacked" "$work/home"
    for package in "$work"/*.whl; do
        [ ! -e "$package" ] || python3 -m zipfile -e "$package" "$work/unpacked"
    done
    for package in "$work"/*.tar.gz; do
        [ ! -e "$package" ] || tar -xzf "$package" -C "$work/unpacked" --strip-components=1
    done
    for part in bin conf lib opt plugins; do
        for from in "$work/unpacked/pyflink/$part" "$work/unpacked/deps/$part"; do
            [ ! -d "$from" ] || cp -r "$from" "$work/home/"
        done
    done
    chmod +x "$work"/home/bin/*.sh
    touch "$work/home/complete"
    rm -rf "$home"
    mv "$work/home" "$home"
fi
printf '%s\n' "$home"
