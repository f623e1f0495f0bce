#!/usr/bin/env bash
# Installs the receivers that Tableside is measured against. What cannot be had is said in one line each; the benchmark
# then leaves it out. Debian's packages go where apt puts them, everything else into build/peers.
set -uo pipefail
cd "$(dirname "$0")/../.."

dicom_storescp=0.10.1
pynetdicom=3.0.4
peers=build/peers
mkdir -p "$peers"

unavailable() { echo "benches/ingest: not available: $1" >&2; }

from_debian() {
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null 2>&1
}

# Debian starts Orthanc as a service; the benchmark starts its own.
without_service() {
  command -v systemctl >/dev/null && systemctl disable --now orthanc >/dev/null 2>&1
  return 0
}

if ! command -v storescp >/dev/null; then
  from_debian dcmtk || unavailable "dcmtk: apt-get install dcmtk"
fi
if ! PATH=$PATH:/usr/sbin command -v Orthanc >/dev/null; then
  if from_debian orthanc; then without_service; else unavailable "Orthanc: apt-get update && apt-get install orthanc"; fi
fi

if [ ! -e "$peers/python/.$pynetdicom" ]; then
  python3 -m venv "$peers/python" &&
    "$peers/python/bin/pip" install --quiet --disable-pip-version-check "pynetdicom==$pynetdicom" &&
    touch "$peers/python/.$pynetdicom" || unavailable "pynetdicom $pynetdicom from PyPI"
fi

# Unchanged where that version is there already.
cargo install --quiet --locked --version "$dicom_storescp" --root "$peers" dicom-storescp ||
  unavailable "dicom-storescp $dicom_storescp from crates.io"
