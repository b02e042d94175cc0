#!/usr/bin/env bash
# cancel.sh NUMBER...: ends PBS jobs.
exec qdel "$@"
