# SPDX-License-Identifier: GPL-2.0-or-later
# Tests in the virtual machine; `tests/vm/run --help` runs single ones by hand.

VM_PROGRAMS := $(patsubst tests/vm/%.c,$(B)/vm/%,$(wildcard tests/vm/*.c))
VM_NAMES := $(basename $(notdir $(filter-out %/lib.sh,$(wildcard tests/vm/*.sh))))

# They run in a machine without libraries of their own.
$(B)/vm/%: tests/vm/%.c | deps-build
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -static -o $@ $<

.PHONY: test-vm $(VM_NAMES:%=test-vm-%) test-debug
test-vm: module $(VM_PROGRAMS) | deps-vm
	@tests/vm/run --quiet

$(VM_NAMES:%=test-vm-%): test-vm-%: module $(VM_PROGRAMS) | deps-vm
	@tests/vm/run $*

# The same on the kernel of `make debug-kernel`, which this makes if need be.
.PHONY: debug-module
debug-module: debug-kernel $(KERNEL_FILES)
	@mkdir -p $(B)/kernel-debug
	@cp -u $(KERNEL_FILES) $(B)/kernel-debug/
	@$(MAKE) -C "$$(vm/debug-kernel --headers)" M=$(abspath $(B)/kernel-debug) \
		ARCH=x86_64 CONFIG_DM_PCACHE=m modules

test-debug: debug-module $(VM_PROGRAMS) | deps-vm
	@tests/vm/run --quiet --kernel "$$(vm/debug-kernel)" --module $(DEBUG_MODULE)
