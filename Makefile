# `make app` starts the page, `make test` runs all tests; both set everything up first.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(shell $p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $p)))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?= -n 2 --dist loadfile

REVIEWS ?= nsmc_train.tsv.gz
ENCODER ?= sentence-transformers/all-MiniLM-L6-v2
STSB ?= stsb

.PHONY: app test bench lint format docs picture space fuzz audit readme clean help

app: $(READY)  ## set up and start the page; it opens in the browser
	$(BIN)/python app/main.py

test: $(READY)  ## set up and run all tests, or some: ARGS="tests/pruning -x"
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## check style, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measure the figures of the README; REVIEWS=FILE, ENCODER=MODEL, STSB=FOLDER as benchmarks/README.md says
	mkdir -p build
	$(BIN)/python -m benchmarks.smaller --shape --reviews $(REVIEWS)
	$(BIN)/python -m benchmarks.smaller --encoder $(ENCODER) --texts $(STSB)/train.csv --pairs $(STSB)/test.csv
	$(BIN)/python benchmarks/held_back.py --data $(REVIEWS) --out build/held_back.tsv
	$(BIN)/python benchmarks/quality_vs_sparsity.py --data build/held_back.tsv
	$(BIN)/python benchmarks/quality_vs_sparsity.py --data build/held_back.tsv --curves scores
	$(BIN)/python benchmarks/quality_vs_sparsity.py --data build/held_back.tsv --curves neurons
	$(BIN)/python benchmarks/evaluate_speed.py --data build/held_back.tsv
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.calibrated
	$(BIN)/python -m benchmarks.plans --checkpoint $(ENCODER) --calibration $(STSB)/train.csv --data $(STSB)/test.csv --threads 1
	$(BIN)/python -m benchmarks.lean
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.limits
	$(BIN)/python -m tools.measured

format: $(READY)  ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## run the code of README and tutorial and write its output into the pages
	$(BIN)/python -m tools.documents

picture: $(READY)  ## take the README's screenshot of the page
	$(BIN)/python -m tools.picture

space: $(READY)  ## build the folder for the Hub, then install and start it as the Hub would
	$(BIN)/python -m tools.space

fuzz: ARGS =
fuzz: $(READY)  ## fuzz parsers of untrusted input and random visits of the page; ARGS="-k recipes" for one of them
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest tests/fuzz tests/app/test_machine.py --timeout 3600 $(ARGS)

audit: $(READY)  ## check the installed packages for known vulnerabilities; asks PyPI
	test -x build/audit/bin/python || $(BIN)/python -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/python -m tools.audit "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')"

readme: $(READY)  ## copy space.yaml into the README's front matter
	$(BIN)/python -m tools.front_matter

$(READY): pyproject.toml requirements.txt
	@test -n "$(PYTHON)" || { echo "bertprune needs Python 3.11 or newer; none was found"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]'
	@touch $@

clean:  ## delete the environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10
