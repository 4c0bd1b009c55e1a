#!/bin/sh
# Makes all locked requirement files anew: versions and hashes, no addresses.
# Needs uv (UV=...); what is locked is installed by plain pip with --require-hashes.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-uv}
PYTHON=${PYTHON:-python3}

# Reads requirements on stdin. Arguments: the file to write, then more options.
lock() {
    out=$1
    shift
    # Versions that a lock already has stay, unless UPGRADE=1 asks for newer ones.
    if [ -n "${UPGRADE:-}" ]; then set -- --upgrade "$@"; fi
    "$UV" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --output-file "$out" "$@" - >/dev/null
    echo "$out"
}

# Everything at once first: what is tested together is then what each image holds.
{
    cat requirements/dev.in
    "$PYTHON" tools/packages.py others libs/cli libs/testkit
} | lock requirements/dev.txt

printf 'hatchling\n' | lock requirements/build.txt --constraint requirements/dev.txt
{
    printf 'hatchling\n'
    "$PYTHON" tools/packages.py others libs/cli
} | lock requirements/local.txt --constraint requirements/dev.txt
for service in ingest status analytics gateway; do
    "$PYTHON" tools/packages.py others "services/$service" |
        lock "services/$service/requirements.txt" --constraint requirements/dev.txt
done

if grep -lE 'https?://' requirements/*.txt services/*/requirements.txt; then
    echo "an address got into a lock" >&2
    exit 1
fi
