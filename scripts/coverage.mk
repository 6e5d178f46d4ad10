# SPDX-License-Identifier: GPL-2.0-or-later
# Coverage of kernel/ by the unit tests and the simulator together: built once more by
# clang, without sanitizers, run, and summed up by scripts/coverage-report.
#
# Counters are mapped from a file of each program's ("%c"), so that what a process
# counted is there however it ends.

COVERAGE := $(B)/coverage
COVERAGE_FLAGS = -fprofile-instr-generate -fcoverage-mapping -fprofile-list=$(COVERAGE)/counted \
		 -mllvm -runtime-counter-relocation -Wno-unknown-attributes -Qunused-arguments
# Of these programs; what tests the shim alone has nothing of kernel/.
COVERAGE_UNIT := $(addprefix $(COVERAGE)/unit/,$(filter-out $(UNIT_SHIM_PROGRAMS),$(UNIT_PROGRAMS)))
COVERAGE_SIM := $(addprefix $(COVERAGE)/sim/,$(SIM_PROGRAMS))

# How the same rules make them there. Tasks are threads in the unit tests alone.
COVERAGE_UNIT_CFLAGS = $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(UNIT_CFLAGS)) \
		       $(COVERAGE_FLAGS) -fprofile-update=atomic
COVERAGE_MAKE = $(MAKE) --no-print-directory B=$(COVERAGE) CC=clang \
		SIM_OPT='$(filter-out -mstringop-strategy=%,$(SIM_OPT)) $(COVERAGE_FLAGS)' \
		UNIT_CFLAGS='$(COVERAGE_UNIT_CFLAGS)'
COVERAGE_ENV = LLVM_PROFILE_FILE=$(COVERAGE)/raw/%p-%c.profraw
# $(1): how many seeds, $(2): what is not as they have drawn it
coverage_sim = $(COVERAGE_ENV) $(COVERAGE)/sim/sim --jobs 1 --quiet --seed 1 --seeds $(1) \
	       $(addprefix --set ,$(2))
# $(1): llvm-cov's command, $(2): its options
coverage_cov = llvm-cov $(1) $(firstword $(COVERAGE_UNIT)) \
	       $(addprefix -object ,$(wordlist 2,99,$(COVERAGE_UNIT)) $(COVERAGE_SIM)) \
	       -instr-profile=$(COVERAGE)/profile $(2) kernel

.PHONY: deps-coverage coverage coverage-programs coverage-run
deps-coverage:
	@scripts/install-deps coverage

coverage-programs: | deps-coverage
	@mkdir -p $(COVERAGE)
	@echo 'src:kernel/*' >$(COVERAGE)/counted
	@$(COVERAGE_MAKE) unit-programs sim-programs

coverage-run: coverage-programs
	@rm -rf $(COVERAGE)/raw
	@OPS=20000 $(COVERAGE_ENV) tests/unit/run $(COVERAGE_UNIT)
	@$(call coverage_sim,6000)
	@$(call coverage_sim,6000,fast=1 write_errors=400 poison=2)
	@$(call coverage_sim,6000,segs=10 gone=300 poison=3)
	@$(call coverage_sim,100,ops=800 submitters=4 depth=4 max_sectors=1 align=1 segs=24 \
		flush=0 fua=0 preflush=0 write_errors=0 flush_errors=0 gone=0 poison=0)
	@$(COVERAGE_ENV) $(COVERAGE)/sim/exhaustive --jobs 1 --length 1

# build/coverage/report has what was not reached; build/coverage/text the sources, counted.
coverage: coverage-run
	@llvm-profdata merge -o $(COVERAGE)/profile $(COVERAGE)/raw/*.profraw
	@$(call coverage_cov,export) >$(COVERAGE)/export.json
	@$(call coverage_cov,export,-format=lcov) >$(COVERAGE)/export.lcov
	@$(call coverage_cov,show,-format=text -show-branches=count -output-dir=$(COVERAGE)/text)
	@bash -o pipefail -c 'scripts/coverage-report --json $(COVERAGE)/export.json \
		--lcov $(COVERAGE)/export.lcov --reasons tests/uncovered | tee $(COVERAGE)/report'
