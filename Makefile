# make run    sets up and runs the default preset        make test    sets up and runs the tests
# make labels grows the archive of reference energies    make check   style only
# make test-fast   style and the fast tests, for each save
.PHONY: run test test-fast test-cluster smoke labels publish report check format clean

CORES ?= 2
CONFIG ?= config/config.yaml
SNAKEMAKE = .venv/bin/snakemake --configfile $(CONFIG) --cores $(CORES)
# Tests of one file stay in one process (tests/conftest.py).
SIDE_BY_SIDE = -n $(CORES)
export OMP_NUM_THREADS ?= 1

# A run that was killed leaves Snakemake's lock behind, and results/run.begun. Holding a lock of our own, which dies with its
# process, shows that no other `make run` is at work here. Where an earlier one has not ended, Snakemake's lock is its.
run:
	@echo "make run: sets up .venv, then runs $(CONFIG); the default preset takes about 35 minutes on 2 cores and 13 GB of memory"
	envs/setup.sh run
	@mkdir -p results
	@flock --nonblock --conflict-exit-code 75 results/run.lock sh -c '{ [ ! -e results/run.begun ] || $(SNAKEMAKE) --quiet all --unlock; } \
	        && touch results/run.begun && { $(SNAKEMAKE); status=$$?; rm -f results/run.begun; exit $$status; }' \
	    || { [ $$? -ne 75 ] || echo "make run: another run is at work in this folder" >&2; exit 1; }
	$(SNAKEMAKE) --report results/$$(.venv/bin/python -c "from extensive.config import load_config; print(load_config('$(CONFIG)')['run'])")/report.html

smoke:
	$(MAKE) run CONFIG=config/smoke.yaml

test:
	@echo "make test: sets up .venv, then style and all tests; about half an hour on 2 cores"
	@echo "make test: system packages that some tests need (MPI, Slurm) are installed with INSTALL=1 or CI=true, else those tests are skipped"
	envs/setup.sh test
	$(MAKE) check
	.venv/bin/python -m pytest --benchmark-disable

# For each save: needs .venv as `make test` leaves it, and no GPAW, no network and no cluster.
test-fast:
	@echo "make test-fast: style and the fast tests; below 2 minutes"
	$(MAKE) check
	.venv/bin/python -m pytest --quiet --benchmark-disable $(SIDE_BY_SIDE) -m "not medium and not slow and not dft and not slurm and not gpu"

# Only those that need a real Slurm, which is started for them (root only) and, with INSTALL=1, installed before.
test-cluster:
	envs/setup.sh test
	.venv/bin/python -m pytest -m slurm

check:
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/snakefmt --check Snakefile workflow/rules

format:
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	.venv/bin/snakefmt Snakefile workflow/rules

labels:
	envs/setup.sh run
	.venv/bin/python -m extensive.reference.label --config config/config.yaml --workers $(CORES)

publish:
	$(SNAKEMAKE) publish

report:
	$(SNAKEMAKE) --report report.html

clean:
	rm -rf .venv .snakemake .pytest_cache .ruff_cache
