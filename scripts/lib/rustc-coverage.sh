#!/bin/sh
# What cargo runs as rustc for this crate, but not for its dependencies, when coverage is measured.
exec "$@" -C instrument-coverage
