# SPDX-License-Identifier: GPL-2.0-or-later
# `make help` lists what can be made. Everything made goes to build/.

B := build
# The kernel that `make module` builds for: its headers' directory.
KDIR ?= $(shell vm/kernel --headers)
MODULE := $(B)/kernel/dm-pcache.ko
KBUILD = $(MAKE) -C $(KDIR) M=$(abspath $(B)/kernel) CONFIG_DM_PCACHE=m \
	 CONFIG_DEBUG_INFO_BTF_MODULES=
# The guest's tests take the module from here.
DEBUG_MODULE := $(B)/kernel-debug/dm-pcache.ko

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

.PHONY: help
help:
	@echo 'Main:'
	@echo '  make demo          show what it does, in a virtual machine (as root, on Debian 12)'
	@echo '  make test          every test; installs what it needs (as root, on Debian 12)'
	@echo '  make module        build $(MODULE) for the kernel whose headers are KDIR'
	@echo '  make install       install the module for the running kernel (KDIR=/lib/modules/$$(uname -r)/build)'
	@echo 'For development:'
	@echo '  make unit          unit tests in userspace, with ASan and UBSan'
	@echo '  make sim           the simulator: power cuts, faults and races from seeds (SECONDS=n, SEED=s)'
	@echo '  make exhaustive    the simulator: every short sequence, every power cut'
	@echo '  make misses        eviction: what policies and the engine miss of traces (TRACE=file)'
	@echo '  make latency       how long writes take while the cache fills, and when it is full'
	@echo '  make bench         instructions for each operation, side by side with other caches'
	@echo '  make profile       what each function takes of that (OP=write_4k, TARGET=pcache)'
	@echo '  make bench-native  the engine measured natively: rates, latency, memory, attach (minutes)'
	@echo '  make profile-native  instructions of an operation, by function (OP=write_4k)'
	@echo '  make mutants       planted mistakes, each of which the simulator has to find'
	@echo '  make sweep         every byte of metadata damaged'
	@echo '  make fuzz          fuzzers of media, tables and scripts (SECONDS=n)'
	@echo '  make coverage      what of kernel/ unit tests and simulator reach'
	@echo '  make tsan          the engine with threads under ThreadSanitizer (SECONDS=n)'
	@echo '  make test-vm       tests in the virtual machine'
	@echo '  make check         build without warnings (W=1), sparse, dependencies between directories'
	@echo '  make debug-kernel  a kernel with KASAN, lockdep and more (10 minutes and more)'
	@echo '  make test-debug    the tests in the virtual machine on that kernel'
	@echo '  make clean         remove build/'

#
# The kernel module
#

KERNEL_FILES := $(wildcard kernel/*)

.PHONY: module install
module: $(MODULE)

# Objects never stand beside sources: the module is built in a copy, which is
# thrown away when it is for another kernel.
$(B)/kernel/.kdir: FORCE | deps-build
	@mkdir -p $(@D)
	@echo '$(KDIR)' | cmp -s - $@ || { rm -rf $(@D)/*; echo '$(KDIR)' >$@; }

$(MODULE): $(KERNEL_FILES) $(B)/kernel/.kdir
	@cp -u $(KERNEL_FILES) $(B)/kernel/
	@$(KBUILD) modules

.PHONY: FORCE
FORCE:

install: KDIR := /lib/modules/$(shell uname -r)/build
install: module
	@$(KBUILD) modules_install
	depmod -a

.PHONY: deps-build deps-vm deps-debug deps-bench deps-profile
deps-build deps-vm deps-debug deps-bench deps-profile: deps-%:
	@scripts/install-deps $*

include shim/shim.mk
include tests/unit/unit.mk
include tests/load/load.mk
include bench/native/native.mk
include tests/vm/vm.mk
include bench/bench.mk
include sim/sim.mk
include tests/fuzz/fuzz.mk
include scripts/coverage.mk

.PHONY: test
test:
	@scripts/test-all check unit test-sim sweep test-fuzz mutants-sample test-vm test-bench

# What `make test` has time for.
.PHONY: test-fuzz
test-fuzz:
	@$(MAKE) -s fuzz SECONDS=30

.PHONY: demo
demo: module deps-vm
	@vm/demo

.PHONY: check
check: deps-build
	@scripts/check

.PHONY: debug-kernel
debug-kernel: deps-debug
	@vm/debug-kernel

.PHONY: clean
clean:
	rm -rf $(B)
