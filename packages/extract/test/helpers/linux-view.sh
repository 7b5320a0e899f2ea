#!/bin/bash
# What the Linux drivers show of an image, as tar streams: OUT/udf.tar, OUT/rockridge.tar, OUT/joliet.tar.
# Debian's kernel in QEMU's software emulation, with its modules isofs and udf: neither root nor a mount is needed.
# usage: linux-view.sh IMAGE OUT
set -euo pipefail
image=$(realpath "$1"); mkdir -p "$2"; cd "$2"
if [ ! -e vmlinuz ]; then
  package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-/{print $2; exit}')
  apt-get download "$package" >/dev/null 2>&1
  dpkg-deb -x "$package"_*.deb kernel && rm "$package"_*.deb
  cp kernel/boot/vmlinuz-* vmlinuz
  mkdir -p initrd/{bin,proc,dev,mnt,modules}
  cp "$(command -v busybox)" initrd/bin/busybox
  number=10
  for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk cdrom crc-itu-t isofs udf; do
    file=$(find kernel/lib/modules -name "$module.ko*" | head -1)
    [ -n "$file" ] || continue
    case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac > "initrd/modules/$number-$module.ko"
    number=$((number + 1))
  done
  rm -r kernel
  cat > initrd/init <<'I'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t devtmpfs d /dev
for m in /modules/*.ko; do $b insmod "$m" || echo "INSMOD $m FAILED"; done
n=0; while [ ! -b /dev/vdd ] && [ $n -lt 100 ]; do $b usleep 50000; n=$((n + 1)); done
view() {
  if $b mount -r "$@" /dev/vda /mnt; then
    cd /mnt
    # A file that is too large for a tar here: its size and its last bytes.
    if [ -f large.bin ]; then
      size=$($b stat -c %s large.bin)
      echo "VIEW $target $size $($b dd if=large.bin bs=2048 skip=$((size / 2048)) 2>/dev/null)"
    else $b tar cf "$target" . && echo "VIEW $target OK"; fi
    cd / && $b umount /mnt
  else echo "VIEW $target: NO MOUNT"; fi
}
target=/dev/vdb; view -t udf
target=/dev/vdc; view -t iso9660
target=/dev/vdd; view -t iso9660 -o norock,utf8
$b dmesg | $b grep -iE 'isofs|rock|udf|I/O error' | $b sed 's/^/DMESG /'
$b sync; $b poweroff -f
I
  chmod +x initrd/init
  (cd initrd && find . | cpio -o -H newc --quiet | gzip -1) > initrd.img
fi
drives=(-drive "file=$image,format=raw,if=virtio,readonly=on")
for view in udf rockridge joliet; do
  rm -f $view.tar; truncate -s "${SIZE:-512M}" $view.tar
  drives+=(-drive "file=$view.tar,format=raw,if=virtio")
done
timeout 280 qemu-system-x86_64 -accel tcg -m 512 -nographic -no-reboot -append 'console=ttyS0 quiet panic=1' \
  -kernel vmlinuz -initrd initrd.img "${drives[@]}" > console.log 2>&1 < /dev/null
grep -aoE '(VIEW|DMESG|INSMOD).*' console.log | tr -d '\r'
