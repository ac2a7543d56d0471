#!/bin/bash
# enter.sh CGROUP FOLDER: move into the cgroup, then boot.sh in namespaces of its own; dies with its parent, and with it init.
set -euo pipefail
echo $$ > "$1/cgroup.procs"
exec unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child=SIGKILL bash "$(dirname "$0")/boot.sh" "$2"
