#!/usr/bin/env bash
# A folder with an aarch64 Python, NumPy and ONNX Runtime, to be run on any Debian machine under qemu-user: build/arm64-root.
# Needs root for apt, and: apt-get install qemu-user. Used by emulated_cpus.py.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/build/arm64-root
packages="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3 libffi8 libbz2-1.0
 liblzma5 libstdc++6 libgcc-s1 libuuid1 libsqlite3-0 libcrypt1 libtinfo6 libncursesw6 libreadline8 libdb5.3 libnsl2 libtirpc3"

dpkg --add-architecture arm64
apt-get update -qq
mkdir -p "$root" build/arm64-debs
(cd build/arm64-debs && apt-get download -qq $(printf '%s:arm64 ' $packages))
for deb in build/arm64-debs/*.deb; do dpkg -x "$deb" "$root"; done

# ONNX Runtime asks the kernel for the processor's features and its number: a Cortex-A76 with one core.
mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
printf '%s\n' 'processor	: 0' 'Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp' \
  'CPU implementer	: 0x41' 'CPU architecture: 8' 'CPU variant	: 0x4' 'CPU part	: 0xd0b' 'CPU revision	: 1' > "$root/proc/cpuinfo"
echo 0 > "$root/sys/devices/system/cpu/possible"
echo 0 > "$root/sys/devices/system/cpu/present"

version() { .venv/bin/python -c "import importlib.metadata as m; print(m.version('$1'))"; }
.venv/bin/pip install --quiet --upgrade --target "$root/site-packages" --python-version 3.11 --only-binary :all: \
  --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
  "numpy==$(version numpy)" "onnxruntime==$(version onnxruntime)"
echo "$root"
