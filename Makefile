# One entry for people and for CI: `make help` lists what there is.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch's ordinary x86-64 wheel drags in several GB of CUDA packages. Name its CPU build here:
# make setup TORCH="torch==2.13.0 --index-url <the CPU wheel index named on pytorch.org>"
TORCH ?= torch==2.13.0
# Records to train and to judge with; nothing of them is in the repository.
DATA ?= ../shared/data

# The stamp of the library of kernels, whose name has the machine in it.
LIBRARY := kernels/.built

.DEFAULT_GOAL := help
# What a stopped or failed command left is not taken for whole.
.DELETE_ON_ERROR:

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[archive]'
	@touch $@

$(VENV)/.setup: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[archive,export,dev]'
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.setup typeview ## virtual environment with everything a developer needs

typeview: ## the view of the tree that type checkers read: .typeview/seisedge/*
	@mkdir -p .typeview/seisedge
	@for p in edge export kernels firmware_bridge; do ln -sfn ../../$$p .typeview/seisedge/$$p; done

lint: setup ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: setup ## rewrite the files as ruff wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: setup ## mypy and pyright, both strict
	$(BIN)/mypy
	$(BIN)/pyright --project pyproject.toml

$(LIBRARY): $(wildcard kernels/*.py) | setup
	$(BIN)/python -m seisedge.kernels.build
	@touch $@

test: setup $(LIBRARY) ## the tests, without the long ones
	$(BIN)/python -m pytest -m "not long"

test-all: setup $(LIBRARY) ## the tests, long ones too
	$(BIN)/python -m pytest

test-jit: setup $(LIBRARY) ## the kernel tests on what numba compiles here, not on the library
	SEISEDGE_KERNELS=jit $(BIN)/python -m pytest -m "not long" tests/kernels

test-nojit: setup $(LIBRARY) ## the kernel tests on the uncompiled functions: an index past the end shows here
	SEISEDGE_KERNELS=plain $(BIN)/python -m pytest -m "not long" tests/kernels

fuzz: setup $(LIBRARY) ## ten thousand cases of damage for every decoder of a wire format (two minutes)
	$(BIN)/python -m pytest -m long tests/firmware_bridge/test_wire_fuzz.py

kernels: $(LIBRARY) ## compile the kernels ahead of time into the package, for this machine

firmware: setup ## the kernels as objects for microcontrollers, with a header: build/firmware/
	$(BIN)/python -m seisedge.kernels.build --firmware build/firmware

test-install: ## install without extras in an environment of its own, and scan a record there
	rm -rf build/clean && $(PYTHON) -m venv build/clean
	build/clean/bin/pip install --quiet .
	build/clean/bin/python tests/check_install.py

bench: setup $(LIBRARY) ## speed and memory beside rivals; writes benchmarks/results/ (long; goes on where it was stopped)
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/scan_ridgecrest.py
	$(BIN)/python -m pytest benchmarks --benchmark-only

bench-quick: setup $(LIBRARY) ## the figures of the README alone, a second for each
	$(BIN)/python benchmarks/bench.py --quick --again

bench-artefacts: setup $(LIBRARY) ## what `make bench` measures: every model in fp32 and int8, in build/bench/ (long)
	$(BIN)/python benchmarks/bench.py --artefacts

bench-kernels: setup $(LIBRARY) ## every kernel beside SciPy and ObsPy: docs/kernels.md
	PYTHONPATH=tests $(BIN)/python benchmarks/kernels.py

startup: setup $(LIBRARY) ## process start to the first result, for each compilation: docs/kernels.md
	$(BIN)/python benchmarks/startup.py

firmware-qemu: setup $(LIBRARY) ## kernels of five processors, emulated: the same bits (Debian: qemu-user, qemu-system-arm, GCCs)
	$(BIN)/python benchmarks/firmware_qemu.py

zoo: setup ## every model, precision and target: docs/zoo.md (long; goes on where it was stopped)
	$(BIN)/python benchmarks/zoo.py

emulated: setup ## int8 artefacts of the zoo on emulated processors (Debian, root once for the packages)
	test -d build/arm64-root || benchmarks/arm64_root.sh
	$(BIN)/python benchmarks/emulated_cpus.py

tensorrt-api: setup ## the names of TensorRT that we use, in its real bindings from 10.3 to 11.4
	$(BIN)/python benchmarks/check_tensorrt_api.py

memory: setup ## peak memory of export and scan, in processes of their own
	$(BIN)/python benchmarks/memory.py

readme: setup ## make the README's tables anew
	$(BIN)/python docs/readme_tables.py

cards: setup ## make the models' cards and their lock anew: docs/models/, edge/models/lock.json
	$(BIN)/python docs/model_cards.py

RECORDS = --data $(DATA)/labelled --mems $(DATA)/mems/openeew_int16.npz \
	--leave-out 2018_9_25,2020_7_2 --continuous $(DATA)/mseed/cx_20140501,2014-05-01T00:02:00,2014-05-01T08:58:00 \
	--continuous $(DATA)/mseed/ridgecrest_20190704 --continuous $(DATA)/mseed/salton_20201001
TRAIN = $(BIN)/edge-export train edge-picker $(RECORDS)

TEACHERS = build/train/first.npz build/train/second.npz
TAUGHT = $(TRAIN) --options docs/models/training/$(@F:.npz=).json --state $(@:.npz=.pt) $(TEACHERS:%=--teacher %) -o $(@:.npz=.onnx)

train-default: build/train/edge-picker.npz build/train/edge-picker-long.npz ## the embedded pickers anew, in build/train/: two trainings teach those of each window (hours; -j2: two at a time)
	for name in edge-picker edge-picker-long; do for target in x86-vnni x86-avx2 arm; do \
		$(BIN)/edge-export quantize build/train/$$name.onnx --precision int8 --target $$target \
			--data $(DATA)/mseed/cx_20140501 --data $(DATA)/mseed/ridgecrest_20190704 \
			--labelled $(DATA)/labelled/labelled_train.npz -o build/train/$$name.int8-$$target.onnx || exit 1; \
	done; done

# A training that was stopped goes on from its state; a whole one is not done again.
$(TEACHERS): build/train/%.npz: | setup $(LIBRARY)
	@mkdir -p build/train
	$(TRAIN) --options docs/models/training/edge-picker-$*.json --state build/train/$*.pt -o build/train/$*.onnx

build/train/edge-picker.npz: $(TEACHERS)
	$(TAUGHT)

build/train/edge-picker-long.npz: $(TEACHERS)
	$(TAUGHT)
	$(BIN)/edge-export export edge-picker-long --weights $@ --threshold P:0.5,S:0.45 --version 6000-steps-seed-0 \
		--training-data docs/models/edge-picker-long.md --licence MIT --citation seisedge -o $(@:.npz=.onnx)

# Every row that is not embedded, by the options in docs/models/training/.
ROWS ?= unet unet-z inception inception-z brnn brnn-z wavenet wavenet-z spec-cnn gpd gpd-original convnetquake \
	convnetquake-wenchuan deepquake earthquake-cnn spectrogram-cnn source-inversion
OF_ACCELEROMETERS = earthquake-cnn spectrogram-cnn
records_of = $(if $(filter source-inversion,$(1)),,$(RECORDS) $(if $(filter $(OF_ACCELEROMETERS),$(1)),--accelerometers))

train-rows: $(ROWS:%=train-%) ## the other rows anew, in export/trained/ (hours; ROWS="unet gpd" for some of them)

train-%: setup $(LIBRARY)
	@mkdir -p build/train
	$(BIN)/edge-export train $* $(call records_of,$*) --options docs/models/training/$*.json \
		--state build/train/$*.pt -o export/trained/$*.onnx

demo: $(VENV)/.demo ## picks of a real record, with a picture: demo/picks.png
	$(BIN)/python docs/demo.py

demo-daemon: $(VENV)/.demo ## a real record, live, into a daemon on loopback: picks and the page
	$(BIN)/python docs/daemon_demo.py

check: lint types test test-jit test-nojit fuzz test-install ## all that CI runs

.PHONY: train-default train-rows fuzz cards bench-quick bench-artefacts help setup typeview lint format types test test-all test-jit test-nojit kernels firmware test-install bench zoo emulated tensorrt-api memory readme demo demo-daemon check bench-kernels startup firmware-qemu
