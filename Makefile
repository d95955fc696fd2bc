# What people type. Needs Rust (rustup), a C compiler and make; `make test` installs the rest by itself.
.DEFAULT_GOAL := help
.PHONY: help run test bench soak fuzz lint fmt deb deb-test

help: ## Shows this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Runs the service beside your Asterisk (.env or ARI_URL), or the demo where neither is there
	@scripts/run

test: ## Runs every test; those with a real Asterisk where it can be installed (root on Debian)
	@scripts/test-setup
	cargo test --all-features -- --skip live::
	cargo test --all-features --test it -- live:: # apart: phones and Asterisk must not starve beside the tests of load

bench: ## Plays recorded calls over a socket at full speed and reports events a second, memory, latency
	cargo bench --all-features

soak: ## The long forms of the load, fault and property tests
	@scripts/test-setup
	SOAK=1 cargo test --all-features --release -- --nocapture

fuzz: ## Coverage-guided fuzzing, FUZZ_SECONDS (300) for each of FUZZ_TARGETS
	@scripts/fuzz

lint: ## Format, clippy, documentation, licences and bans, as CI checks them
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --document-private-items
	@scripts/deny
	@scripts/deploy-check

fmt: ## Formats the code
	cargo fmt

deb: ## Builds the Debian package into target/debian
	@scripts/deb

deb-test: ## Installs, runs, upgrades and purges the package in a Debian of its own (root)
	@scripts/deb-test
