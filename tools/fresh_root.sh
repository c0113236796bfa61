#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows the two commands on a fresh system: makes a Debian 12 root with debootstrap that holds
# nothing but git and make, clones this repository into it (the committed state) and runs
# `make demo` and `make test` there, each timed. Needs root and debootstrap.
#
#   tools/fresh_root.sh FOLDER
#
# FOLDER is made anew. MIRROR names the Debian mirror (default http://deb.debian.org/debian).
# TESSERA_SHARED=DIR copies DIR beside the clone as ../shared. What a local network needs is taken
# over from this machine: resolv.conf, apt's and pip's settings, additional certificates.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:?usage: tools/fresh_root.sh FOLDER}
mirror=${MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" -eq 0 ] || { echo "fresh_root.sh: needs root" >&2; exit 3; }
command -v debootstrap >/dev/null || { echo "fresh_root.sh: needs debootstrap" >&2; exit 3; }
[ -e "$root" ] && { echo "fresh_root.sh: $root is already there" >&2; exit 2; }
mkdir -p "$root"
root=$(realpath "$root")

unmount() {
  for point in dev/pts dev sys proc; do
    if mountpoint -q "$root/$point"; then umount -l "$root/$point"; fi
  done
}
trap unmount EXIT

echo "=== debootstrap bookworm $root"
debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" "$mirror" \
  >"$root.log" 2>&1 || {
  tail -20 "$root.log" >&2
  exit 1
}

copy() { # copy FILE...: to the same place in the root, where it exists
  for file in "$@"; do
    if [ -e "$file" ]; then
      mkdir -p "$root$(dirname "$file")"
      cp -rL "$file" "$root$(dirname "$file")/"
    fi
  done
}
copy /etc/resolv.conf /etc/pip.conf /usr/local/share/ca-certificates
for file in /etc/apt/apt.conf.d/*; do
  if grep -qiE 'proxy|verify' "$file"; then copy "$file"; fi
done
for side in proc sys dev dev/pts; do mount --bind "/$side" "$root/$side"; done
chroot "$root" update-ca-certificates >/dev/null 2>&1 || true

git clone -q --no-local . "$root/root/tessera"
if [ -n "${TESSERA_SHARED:-}" ]; then cp -r "$TESSERA_SHARED" "$root/root/shared"; fi

# A clean environment, but for what the local network needs.
keep=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
for name in http_proxy https_proxy no_proxy PIP_INDEX_URL PIP_TRUSTED_HOST; do
  if [ -n "${!name:-}" ]; then keep+=("$name=${!name}"); fi
done
if [ -n "${PIP_CERT:-${SSL_CERT_FILE:-}}" ]; then
  cp -L "${PIP_CERT:-$SSL_CERT_FILE}" "$root/etc/ssl/certs/local-bundle.crt"
  keep+=(PIP_CERT=/etc/ssl/certs/local-bundle.crt)
fi

status=0
for goal in demo test; do
  echo "=== make $goal"
  start=$SECONDS
  ended=done
  chroot "$root" env -i "${keep[@]}" make -C /root/tessera "$goal" </dev/null || {
    ended=failed
    status=1
  }
  echo "=== make $goal: $((SECONDS - start)) s, $ended"
done
exit $status
