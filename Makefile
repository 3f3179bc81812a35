# make demo: the main job on real text.  make test: all checks.  Both make their own environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FASHION := projects/fashion_brands
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: install demo test test-slow browser lint lock benchmark clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "annoloop needs Python 3.11 to 3.13")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local-llm,postgres,dev]'
	touch $@

demo: install
	$(BIN)/annoloop llm fetch-model
	rm -rf demo && mkdir demo && cp -r $(FASHION) demo/fashion_brands
	$(BIN)/annoloop add demo/fashion_brands $(FASHION)/assets/test.jsonl --split held_out --sample 200
	$(BIN)/annoloop add demo/fashion_brands $(FASHION)/assets/dev.jsonl --split dev
	$(BIN)/annoloop add demo/fashion_brands $(FASHION)/assets/train.jsonl --split pool
	$(BIN)/annoloop loop demo/fashion_brands --batch 150 --max-rounds 5 --no-wait \
		--oracle $(FASHION)/assets/train.jsonl --oracle $(FASHION)/assets/dev.jsonl \
		--oracle $(FASHION)/assets/test.jsonl

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
		|| echo "SKIPPED: the browser tests, since there is no Chromium and apt-get cannot install it here"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: install browser lint
	$(BIN)/python -m pytest -m "not slow and not local_llm" -rs -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	@command -v node >/dev/null && node --test tests/frontend/*.test.js || echo "SKIPPED: the page's logic in node, which is not installed"
	@echo "Not run here: the tests marked slow and local_llm; run them with make test-slow"

test-slow: install browser
	$(BIN)/annoloop llm fetch-model
	$(BIN)/python -m pytest -m "slow or local_llm" --timeout 3600

benchmark: install
	$(BIN)/annoloop llm fetch-model
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/corpus.py
	$(BIN)/python benchmarks/training.py fashion_brands $(FASHION)/assets
	$(BIN)/python benchmarks/projects.py fashion_brands
	$(BIN)/python benchmarks/projects.py customer_feedback_de --no-llm
	$(BIN)/python benchmarks/training.py customer_feedback_de projects/customer_feedback_de/assets --peer --with-dev

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra local-llm --extra postgres --extra ray --universal \
		--python-version 3.11 --quiet --output-file constraints.txt

clean:
	rm -rf $(VENV) demo build dist *.egg-info
