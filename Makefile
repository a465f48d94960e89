# `make app` starts the page, `make test` runs all tests; both set everything up first.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(shell $p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $p)))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?= -n 2 --dist loadfile

REVIEWS ?= nsmc_train.tsv.gz

.PHONY: app test bench lint format docs picture space fuzz audit readme clean help

app: $(READY)  ## set up and start the page; it opens in the browser
	$(BIN)/python app/main.py

test: $(READY)  ## set up and run all tests; ARGS="tests/pruning -x" for some of them
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)  ## style, types, and which module may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## measure what the README quotes; REVIEWS=FILE names the reviews that the demo was trained on
	mkdir -p build
	$(BIN)/python benchmarks/held_back.py --data $(REVIEWS) --out build/held_back.tsv
	$(BIN)/python benchmarks/quality_vs_sparsity.py --data build/held_back.tsv
	$(BIN)/python benchmarks/evaluate_speed.py --data build/held_back.tsv
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.lean
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m tools.measured

format: $(READY)  ## let ruff put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## run the pages' code and write what it prints below it
	$(BIN)/python -m tools.documents

picture: $(READY)  ## take the README's picture of the page
	$(BIN)/python -m tools.picture

space: $(READY)  ## build the folder to push to the Hub, and try it as the Hub would build it
	$(BIN)/python -m tools.space

fuzz: ARGS =
fuzz: $(READY)  ## feed the parsers that face strangers for some minutes; ARGS="-k recipes" for one of them
	HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest tests/fuzz --timeout 3600 $(ARGS)

audit: $(READY)  ## look the installed packages up among known vulnerabilities; asks PyPI
	test -x build/audit/bin/python || $(BIN)/python -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/python -m tools.audit "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')"

readme: $(READY)  ## write space.yaml into the README's front matter
	$(BIN)/python -m tools.front_matter

$(READY): pyproject.toml requirements.txt
	@test -n "$(PYTHON)" || { echo "bertprune needs Python 3.11 or newer; none was found"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]'
	@touch $@

clean:  ## forget the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10
