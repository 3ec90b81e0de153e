#!/usr/bin/env bash
# The browser tests need Debian's chromium and a font with Chinese; installs them where it may, else says how.
set -u
if command -v chromium >/dev/null 2>&1 && fc-list 2>/dev/null | grep -qi 'noto.*cjk'; then exit 0; fi
if [ -n "${MODELNOOK_CHROMIUM:-}" ]; then exit 0; fi
run=""
[ "$(id -u)" = 0 ] || run="sudo -n"
if command -v apt-get >/dev/null 2>&1 && $run true 2>/dev/null; then
  $run apt-get update -qq >/dev/null && $run apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk fontconfig >/dev/null && exit 0
fi
echo "The browser tests need chromium and fonts-noto-cjk; install them, or name a browser: MODELNOOK_CHROMIUM=/path" >&2
[ -z "${MODELNOOK_REQUIRE_REAL:-}" ]
