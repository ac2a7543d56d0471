#!/bin/bash
# boot.sh FOLDER: inside fresh namespaces, make a machine that can harm nobody, then become its systemd. README.md says why.
#
#   FOLDER/units        unit files, all that systemd will know
#   FOLDER/machine-id
#   FOLDER/app/NAME     becomes /run/app/NAME; FOLDER/binds names further ones: HOST_PATH<tab>NAME, read-only
#   FOLDER/dev FOLDER/upper FOLDER/stage   empty
set -euo pipefail
folder=$1
shadowed=(/tmp /var/tmp /run /srv /var/lib /var/log /var/cache /etc/systemd/system)

mount --make-rprivate /
cd /
# Whatever the host has mounted; / itself later, /proc is replaced. That each is read-only is looked at below.
awk '$5 != "/" && $5 != "/proc" && !/ - autofs / { print $5 }' /proc/self/mountinfo | while read -r place; do
  mount -o remount,ro,bind "$(printf '%b' "$place")" 2> /dev/null || true
done

# Reached by their names as long as these are not shadowed; then by /dev/shm.
mount -t tmpfs -o mode=755 tmpfs "$folder/stage"
cp -a "$folder/app/." "$folder/stage/"
while IFS=$'\t' read -r source name; do
  mkdir -p "$folder/stage/$name"
  mount --bind "$source" "$folder/stage/$name"
  mount -o remount,ro,bind "$folder/stage/$name"
done < "$folder/binds"

mount -t tmpfs -o mode=755,nosuid tmpfs "$folder/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<< "$device"
  mknod -m 666 "$folder/dev/$name" c "$major" "$minor"
done
mkdir "$folder/dev/pts" "$folder/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$folder/dev/pts"
ln -s pts/ptmx "$folder/dev/ptmx"
ln -s /proc/self/fd "$folder/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
mkdir "$folder/dev/shm/app"
cp -a "$folder/units" "$folder/dev/shm/units"
cp "$folder/machine-id" "$folder/dev/shm/machine-id"

mount -t tmpfs -o mode=755 tmpfs "$folder/upper"
mkdir "$folder/upper/new" "$folder/upper/work"
mount -o remount,ro,bind /
mount -t overlay -o "lowerdir=/etc,upperdir=$folder/upper/new,workdir=$folder/upper/work" overlay /etc
mount --rbind "$folder/stage" "$folder/dev/shm/app"
mount --rbind "$folder/dev" /dev
for place in "${shadowed[@]}"; do
  mkdir -p "$place" 2> /dev/null || true
  mode=755; case $place in */tmp) mode=1777 ;; esac
  mount -t tmpfs -o "mode=$mode,size=128m" tmpfs "$place"
done
mkdir -p /run/app /run/lock /run/nogen /var/log/journal
mount --rbind /dev/shm/app /run/app
cp -a /dev/shm/units/. /etc/systemd/system/
cp --remove-destination /dev/shm/machine-id /etc/machine-id

mount -t proc proc /proc
for place in /proc/{sys,sysrq-trigger,irq,bus,fs,acpi,scsi}; do
  [ -e "$place" ] || continue
  mount --bind "$place" "$place"
  mount -o remount,ro,bind "$place"
done
umount -R /sys/fs/cgroup 2> /dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# A fresh peer group in this namespace alone: without it LoadCredential= hands over an empty folder.
mount --make-rshared /

for place in "${shadowed[@]}"; do
  [ "$(stat --file-system --format=%T "$place")" = tmpfs ] || { echo "$place is no tmpfs" >&2; exit 99; }
done
[ "$(stat --file-system --format=%T /etc)" = overlayfs ] || { echo "/etc is no overlay" >&2; exit 99; }
[ -z "$(ls -A /tmp)" ] || { echo "/tmp is somebody's" >&2; exit 99; }
! [ -w /usr ] || { echo "/ can be written" >&2; exit 99; }
# Nothing of the host is left that could be written to, wherever it is mounted.
writable=$(awk -v own="$folder/" '
  {
    type = ""
    for (i = 7; i <= NF; i++) if ($i == "-") { type = $(i + 1); break }
  }
  ("," $6 ",") !~ /,rw,/ || type == "autofs" { next }
  type == "tmpfs" && (index($5, own) == 1 || $5 ~ "^/(tmp|var/tmp|srv|var/lib|var/log|var/cache|etc/systemd/system)$") { next }
  type == "tmpfs" && $5 ~ "^/(run|dev)(/shm|/app|$)" { next }
  type == "devpts" && (index($5, own) == 1 || $5 == "/dev/pts") { next }
  type == "overlay" && $5 == "/etc" || type == "cgroup2" && $5 == "/sys/fs/cgroup" || type == "proc" && $5 == "/proc" { next }
  { print type, "at", $5 }
' /proc/self/mountinfo)
[ -z "$writable" ] || { echo "can be written: $writable" >&2; exit 99; }
[ $$ = 1 ] || { echo "not in a process namespace of its own" >&2; exit 99; }

exec env -i container=edge-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SYSTEMD_UNIT_PATH=/etc/systemd/system \
  SYSTEMD_GENERATOR_PATH=/run/nogen SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/nogen \
  /lib/systemd/systemd --system --unit=box.target --log-target=journal --show-status=no
