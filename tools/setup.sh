#!/usr/bin/env bash
# Installs the Debian packages that building Skua needs; with --test also
# those that the tests need. Leaves alone what is there, asks no question.
set -euo pipefail
cd "$(dirname "$0")/.."

lists=(tools/debian-packages.txt)
for argument in "$@"; do
  case $argument in
    --test) lists+=(tools/debian-packages-test.txt) ;;
    *) echo "setup: unknown option '$argument', expected --test" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

wanted() { sed 's/#.*//' "${lists[@]}" | awk 'NF {print $1}'; }

is_installed() {
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null |
    grep -qx installed
}

missing() {
  local package
  for package in $(wanted); do
    is_installed "$package" || echo "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo > /dev/null; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    fail "cannot install: $(missing | xargs). Neither root nor sudo here;" \
      "install them as root: apt-get install $(missing | xargs)"
  fi
}

install_missing() {
  local packages
  packages=$(missing | xargs)
  if [ -z "$packages" ]; then
    say "all $(wanted | wc -l) Debian packages are installed"
    return
  fi
  say "installing $(wc -w <<< "$packages") Debian packages: $packages"
  local log=build/setup.log
  as_root apt-get update -q > "$log" 2>&1 ||
    say "apt-get update failed, trying with the package lists at hand"
  # shellcheck disable=SC2086
  as_root apt-get install -q -y --no-install-recommends $packages \
    < /dev/null >> "$log" 2>&1 || { tail -n 20 "$log" >&2; }
  packages=$(missing | xargs)
  [ -z "$packages" ] ||
    fail "these packages could not be installed: $packages (log: $log)"
  say "installed"
}

check_tools() {
  local tool absent=()
  for tool in cmake ninja c++ pkg-config python3; do
    command -v "$tool" > /dev/null || absent+=("$tool")
  done
  [ ${#absent[@]} = 0 ] || fail "missing programs: ${absent[*]}"
}

mkdir -p build
if command -v dpkg-query > /dev/null && command -v apt-get > /dev/null; then
  install_missing
else
  say "no apt-get here; the packages to provide by other means:" \
    "$(wanted | xargs)"
fi
check_tools
