#!/bin/sh
# Real clients against the gateway: see docs/conformance.md. Arguments go to run.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${SIGNALBOX:-}" ]; then
	make -s -C "$root" build
	SIGNALBOX=$root/bin/signalbox
fi
export SIGNALBOX
exec python3 -B "$here/run.py" "$@"
