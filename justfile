# Shortcuts. Nothing here is needed: each recipe is a command that can be typed.

# Lists the recipes.
default:
    @just --list

# Runs the server on http://127.0.0.1:8080, with its data under ./data.
run *args:
    cargo run --release -- {{ args }}

# Runs all tests.
test *args:
    scripts/test {{ args }}

# Runs the tests of the domain and the use cases.
core:
    scripts/test core

# Builds the image for containers; see docs/operations.md.
image tag="kith" *args:
    docker build --file docker/Dockerfile --tag {{ tag }} \
        --build-arg VERSION="$(cargo pkgid --package kith-server | sed 's/.*[@#]//')" \
        --build-arg REVISION="$(git rev-parse HEAD)" {{ args }} .

# Formats the code.
fmt:
    cargo fmt --all

# Checks formatting and lints, as CI does.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

# Checks licences, bans and sources of all dependencies.
deny:
    scripts/deny

# Shows Kith at work.
demo:
    cargo run --example demo

# Builds the documentation of the code, and runs the commands written in the Markdown documents.
docs:
    cargo doc --workspace --no-deps --all-features
    scripts/try-docs

# Makes a Postman collection of all calls, from the OpenAPI document.
postman *args:
    scripts/postman {{ args }}

# Kills the server under load, again and again, removes members while others send, and lets three servers,
# their Redis and the ways between them fail for so many seconds, after which everything that anybody saw
# is compared with what is stored. The test suite does each a little. `KITH_FAULT_SEED` repeats the failures
# of a run that printed it.
faults rounds="100" trials="10000" seconds="600":
    KITH_FAULT_ROUNDS={{ rounds }} cargo test --release -p kith-server --test it crash
    KITH_REMOVAL_TRIALS={{ trials }} cargo test --release -p kith-server --test it removal
    KITH_FAULT_SECONDS={{ seconds }} cargo test --release -p kith-server --test it nodes::history -- --nocapture

# Measures the server against its ceilings; see docs/performance.md.
bench *args:
    scripts/bench {{ args }}
