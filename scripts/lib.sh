# shellcheck shell=bash disable=SC2034
# Shell helpers for the scripts beside this file; sourced, not run.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ODRADEK_E2E_CACHE:-$HOME/.cache/odradek-e2e} # what the end-to-end tests download, once per machine

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# need PACKAGE... : those that are missing, by apt, as root or by sudo.
need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing ${missing[*]}" >&2
  local sudo=
  if [ "$(id -u)" -ne 0 ]; then
    sudo=$(command -v sudo) || die "these packages are missing and need root to install: ${missing[*]}"
  fi
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
}

need_build() {
  need build-essential cmake ninja-build pkg-config python3 libuv1-dev zlib1g-dev liblz4-dev libzstd-dev libsnappy-dev \
    libisal-dev libssl-dev libjansson-dev
}

# build PRESET [TARGET...] : configures where needed and builds everything of it, or the targets.
build() {
  cmake -S "$top" --preset "$1" -B "$top/build/$1" >"$top/build/$1.log" 2>&1 || { cat "$top/build/$1.log" >&2; die "cmake failed"; }
  ninja -C "$top/build/$1" --quiet "${@:2}" || die "the $1 build failed"
}

# once NAME WHAT COMMAND... : runs COMMAND unless the cache has NAME made from the same WHAT.
once() {
  local mark=$cache/$1.done what=$2
  shift 2
  [ "$(cat "$mark" 2>/dev/null)" = "$what" ] && return
  mkdir -p "$cache"
  "$@" || die "cannot install: $*"
  echo "$what" >"$mark"
}

# kafka_jars : Apache Kafka 4.3.1 in $cache/kafka-4.3.1, broker and tools; needs Maven.
kafka_jars() { once kafka "$(cat "$top/tests/e2e/java/pom.xml")" fetch_kafka; }
fetch_kafka() {
  mvn -q -B -f "$top/tests/e2e/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$cache/kafka-4.3.1"
}
