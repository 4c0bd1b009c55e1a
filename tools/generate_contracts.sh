#!/bin/sh
# Generates libs/contracts/bluetick from protos/. Usage: generate_contracts.sh [OUT]
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$top/libs/contracts}
bin=${VENV:-$top/.venv}/bin
mkdir -p "$out"
PATH="$bin:$PATH" "$bin/python" -m grpc_tools.protoc -I "$top/protos" \
    --python_out="$out" --mypy_out="$out" --grpc_python_out="$out" --mypy_grpc_out="$out" \
    "$top"/protos/bluetick/v1/*.proto
touch "$out/bluetick/v1/py.typed"
