# Recipes; `./bootstrap RECIPE` installs what they need first. Everything but `just bench`, the main job too, is
# built in the one dev profile of Cargo.toml (opt-level 3, overflow checks in this workspace's own code): a second
# profile would compile the tensor library twice, five minutes of two cores, to run a few percent faster.

set positional-arguments

# Training frees and takes tensors of tens of megabytes all the time: keep them instead of giving them back to the
# system for ten seconds, which zeroes every page again.
export MIMALLOC_PURGE_DELAY := "10000"

ipnet := "cargo run --quiet --locked -p ipnet --bin ipnet --"

# The main job: networks with and without memory on event recordings, a table and a report
reproduce *ARGS: build
    {{ ipnet }} reproduce "$@"

# Compile the program
build:
    cargo build --locked -p ipnet

# Formatting, lints, tests, documentation, and that the CUDA code type-checks without CUDA
test: lint
    cargo test --locked --workspace
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
    cargo check --locked --quiet -p ipnet-kernel --features cuda

# Formatting and lints
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

# Measure what the crates promise about speed (criterion)
bench *ARGS:
    cargo bench --locked --workspace "$@"

# Pictures of a run's report at three widths and as printed, in headless Chromium: `just screenshot RUN [OUT]`
screenshot *ARGS:
    data-scripts/screenshot "$@"

# Build the API documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
    @echo "target/doc/ipnet/index.html"

# Fetch official data sets, or check them (by md5 where one is published), e.g. `just data nmnist ~/data`
data SET DIR:
    data-scripts/fetch "$1" "$2"

# Tests of the data scripts, against a server on this machine
test-data-scripts:
    data-scripts/test

# The CUDA conformance suite, on a machine with an NVIDIA GPU
test-cuda:
    IPNET_NEEDS_CUDA=1 cargo test --locked -p ipnet-kernel --features cuda --test suite cuda::

# Candle's tensors on a GPU, and a small network trained on it and on the CPU; needs nvcc too
test-cuda-training:
    IPNET_NEEDS_CUDA=1 cargo test --locked -p ipnet-kernel --features candle-cuda --test suite cuda::
    IPNET_NEEDS_CUDA=1 cargo test --locked -p ipnet-bench --features cuda --test cuda

# The code that trains on a GPU type-checks, on a machine without CUDA: with a stand-in for nvcc that compiles nothing, in a
# target folder of its own. Nothing built so can be run
check-candle-cuda:
    PATH="$PWD/data-scripts/nvcc-stub:$PATH" CUDA_COMPUTE_CAP=90 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/candle-cuda" \
        cargo clippy --locked --workspace --all-targets --features ipnet/cuda --quiet -- -D warnings

# The scan on a GPU beside a copy of the same bytes
bench-cuda *ARGS:
    cargo bench --locked --profile dev -p ipnet-kernel --features cuda --bench cuda "$@"

# Every CUDA kernel compiles, with libnvrtc on LD_LIBRARY_PATH (PyPI's nvidia-cuda-nvrtc will do) and no GPU
test-nvrtc:
    IPNET_NVRTC_ALL=1 cargo test --locked -p ipnet-kernel --features cuda --test suite nvrtc:: -- --nocapture

# The scan beside a copy of the same bytes, on this processor
bench-scan *ARGS:
    cargo bench --locked --profile dev -p ipnet-kernel --bench scan "$@"

# What hangs on each assumed number of a device set: the network trained with the set as it is (three seeds) and with each
# number moved (one seed), on N-MNIST in $IPNET_DATA; goes on where it was
device-sensitivity SET="default" EPOCHS="5" DIR="results/device-sensitivity": build
    #!/usr/bin/env bash
    set -euo pipefail
    ipnet="${CARGO_TARGET_DIR:-target}/debug/ipnet"
    set="${1:-default}" epochs="${2:-5}" dir="${3:-results/device-sensitivity}"
    "$ipnet" device vary "$set" --factor 0.8,1.25 --out "$dir/sets" >/dev/null
    train() {
        "$ipnet" train digits-in-time-20 --net 'memory = "ip", placement = "sensor"' \
            --device "$1" --seeds "$2" --epochs "$epochs" --out "$dir/runs/$3" --json > "$dir/$3.json"
    }
    train "$set" 3 nominal
    for file in "$dir"/sets/*.toml; do train "$file" 1 "$(basename "$file" .toml)"; done

# All memories, and IP from the sensor to the head, on real N-MNIST in $IPNET_DATA: five folds, three seeds. It goes on where
# it was; `just nmnist-table --table` shows what is done so far
nmnist-table *ARGS: build
    {{ ipnet }} sweep sweeps/nmnist.toml --out results/sweep-nmnist "$@"

# The program with the HDF5 formats, lints and tests of them (Debian: libhdf5-dev)
test-hdf5:
    cargo clippy --locked --workspace --all-targets --features hdf5 --quiet -- -D warnings
    cargo test --locked --workspace --features hdf5 --test formats --test datasets --test synth

# Flip a bit in each of so many copies of a plain HDF5 and of a DDD-20 recording, read in processes of their own
damage-hdf5 FLIPS="10000":
    IPNET_DAMAGE_FLIPS="${1:-10000}" cargo test --locked --workspace --features hdf5 --test formats hdf5_damage -- --nocapture

# Fuzz the reader of FORMAT (aedat2, aedat31, aedat4, dat, evt2, evt3, csv, bin) by coverage, with cargo-fuzz; the pinned
# compiler has what that needs if it is told to allow it. `fuzz/seed IPNET DIR` makes a corpus from recordings
fuzz FORMAT SECONDS="600":
    RUSTC_BOOTSTRAP=1 cargo fuzz run "$1" -- -max_len=65536 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=20 -print_funcs=0 -max_total_time="${2:-600}"

# The same targets without cargo-fuzz, with blind mutations and a bound on what is allocated
fuzz-stable FORMAT SECONDS="60":
    IPNET_FUZZ_FORMAT="$1" IPNET_FUZZ_SECONDS="${2:-60}" cargo test --locked --workspace --test fuzz -- --nocapture

# Frame a recording of 4 GB, made by repeating RECORDING, and print the most memory that took
events-4gb RECORDING: build
    data-scripts/events-4gb "$1"
