#!/usr/bin/env bash
# Runs a test program on an emulated CPU with AVX-512 or AMX: Bochs boots a
# Debian kernel whose first file system holds the program and its libraries.
#
#   tools/emulate_avx512.sh PROGRAM [GTEST_FILTER]
#
#   SKUA_CPU     level to force in there; default avx512
#   EMULATE_CPU  CPU model of Bochs; default corei7_icelake_u; with
#                SKUA_CPU=amx sapphire_rapids
#   EMULATE_DIR  folder to work in; default build/emulate
#   BOCHS        Bochs to run, built without its debugger; default Debian's,
#                which has no AMX. Linux gives tiles to a program only where
#                the CPU has IA32_XFD.
#
# Needs Debian and root for apt. Exit status: that of PROGRAM.
set -euo pipefail
[[ $# -ge 1 ]] || { sed -n '2,15s/^# \?//p' "$0"; exit 2; }
program=$(realpath "$1")
filter=${2:-*}
cd "$(dirname "$0")/.."
work=${EMULATE_DIR:-build/emulate}
mkdir -p "$work"
work=$(realpath "$work")
export SKUA_CPU=${SKUA_CPU:-avx512}
# What Debian's Bochs gets wrong; tiles need the last two.
hidden=aperfmperf,pku,umip,fsrm
if [[ $SKUA_CPU == amx ]]; then
  model=sapphire_rapids
else
  model=corei7_icelake_u
  hidden+=,xsaves,xsavec
fi

packages=(bochs bochs-term busybox-static cpio genisoimage isolinux
  syslinux-common)
if ! dpkg -s "${packages[@]}" > /dev/null 2>&1; then
  apt-get update -qq
  apt-get install -yqq --no-install-recommends "${packages[@]}" > /dev/null
fi
if ! ls "$work"/kernel/boot/vmlinuz-* > /dev/null 2>&1; then
  image=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$image")
  dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
fi

root=$work/root
rm -rf "$root"
mkdir -p "$root"/{bin,lib,lib64,proc,sys,dev,tmp}
cp /bin/busybox "$root/bin/"
cp "$program" "$root/program"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
  cp -L "$library" "$root/lib/"
done
mv "$root"/lib/ld-linux* "$root/lib64/"
mknod -m 600 "$root/dev/console" c 5 1 2> /dev/null || true
cat > "$root/init" <<END
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
export LD_LIBRARY_PATH=/lib TMPDIR=/tmp HOME=/tmp
export SKUA_CPU=$SKUA_CPU
/bin/busybox stty -F /dev/ttyS0 115200
/program --gtest_color=no "--gtest_filter=$filter" > /dev/ttyS0 2>&1
echo "exit status \$?" > /dev/ttyS0
/bin/busybox poweroff -f
END
chmod +x "$root/init"

disc=$work/disc
rm -rf "$disc"
mkdir -p "$disc"
cp "$work"/kernel/boot/vmlinuz-* "$disc/vmlinuz"
(cd "$root" && find . | cpio -o -H newc --quiet) > "$disc/initrd"
cp /usr/lib/ISOLINUX/isolinux.bin \
  /usr/lib/syslinux/modules/bios/ldlinux.c32 "$disc/"
cat > "$disc/isolinux.cfg" <<END
default linux
prompt 0
label linux
  kernel vmlinuz
  initrd initrd
  append console=ttyS0,115200 quiet mitigations=off nokaslr clearcpuid=$hidden panic=1
END
genisoimage -quiet -o "$work/disc.iso" -b isolinux.bin -c boot.cat \
  -no-emul-boot -boot-load-size 4 -boot-info-table "$disc"

cat > "$work/bochsrc" <<END
cpu: model=${EMULATE_CPU:-$model}, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
clock: sync=none
display_library: rfb, options="timeout=0"
com1: enabled=1, mode=file, dev=$work/console
log: $work/bochs.log
panic: action=fatal
END
emulator=(bochs-bin -rc "$work/debugger")
echo continue > "$work/debugger"  # Debian builds Bochs with its debugger
if [[ -n ${BOCHS:-} ]]; then emulator=("$BOCHS"); fi
rm -f "$work/console"
"${emulator[@]}" -q -f "$work/bochsrc" > "$work/bochs.out" 2>&1 < /dev/null &
emulator_pid=$!
trap 'kill -9 $emulator_pid 2> /dev/null || true' EXIT
touch "$work/console"
tail --pid=$emulator_pid -n +1 -f "$work/console" || true
status=$(tr -d '\r' < "$work/console" | sed -n 's/^exit status //p')
exit "${status:-1}"
