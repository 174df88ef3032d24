#!/bin/sh
# Calls `make TARGET` in a clone of the last commit, with an empty home and without Java and Maven on the path.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/home" "$folder/bin"
echo "$PATH" | tr : '\n' | while read -r place; do
    # the first of a name stays, as on the path
    find "$place" -maxdepth 1 ! -type d ! -name 'java*' ! -name 'mvn*' \
        -exec ln -s -t "$folder/bin" {} + 2>/dev/null || true
done
git clone --quiet "$(dirname "$0")/.." "$folder/sightflow"
env -u JAVA_HOME HOME="$folder/home" PATH="$folder/bin" make -C "$folder/sightflow" "$1"
