# A thin front: everything here is cargo or `cargo xtask`, and can be typed without just.

# List what there is
default:
    @just --list

# Format, lints, documentation, house rules, cargo-deny
check:
    cargo xtask check

# The tests, tier by tier: `just test --require unit,mounts,packages,postgres,dns`
test *arguments:
    cargo xtask test {{ arguments }}

# The portal with everything embedded, on 127.0.0.1:8080
demo *arguments:
    cargo run -- demo {{ arguments }}

# Write openapi/portal.json
openapi:
    cargo xtask openapi

# What a request costs, beside a bare handler (builds in release mode)
bench:
    cargo xtask bench api
