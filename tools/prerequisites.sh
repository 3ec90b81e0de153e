#!/usr/bin/env bash
# Checks that Python and Node are there before anything is installed; with the word "python", names the interpreter.
set -u
found=""
for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
  if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    found=$name
    break
  fi
done
if [ -z "$found" ]; then
  echo "modelnook needs Python 3.11 or newer, and none was found. Install it, or name it: make demo PYTHON=/path/to/python3" >&2
  exit 1
fi
if [ "${1:-}" = python ]; then
  echo "$found"
  exit 0
fi
if ! command -v node >/dev/null 2>&1; then
  echo "modelnook's sidebar is built with Node.js 20 or newer, and none was found. Install it from your package manager." >&2
  exit 1
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
  echo "modelnook's sidebar needs Node.js 20.19 or newer; this is $(node --version). Install a newer one." >&2
  exit 1
fi
