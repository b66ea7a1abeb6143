# make        what there is to make
# make build  the pondnode binary
# make test   every test (the README's second command)
# make race   the tests of packages that are light enough for the race detector
# make s3     S3 sources over a second server, whose many modules stand in a module of their own
# make random 10,000 random queries against DuckDB, in a quarter of an hour of one core's time; SEED=n starts elsewhere
# make ci     what must pass before a change lands

TAGS := duckdb_arrow
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help build test s3 random race ci generate
help:
	@sed -n 's/^# //p' Makefile

build:
	go build -tags $(TAGS) -ldflags "-X main.version=$(VERSION)" -o pondnode ./cmd/pondnode

test:
	go test -tags $(TAGS) -p 1 -timeout 20m ./...

s3:
	@cd fs/object/s3/versitytest && if go list -deps -test . >/dev/null; \
	then go test -timeout 10m .; else echo "skipped: its modules cannot be had"; fi

SEED ?= 1
random:
	go test -tags $(TAGS) -count=1 -timeout 3h -run TestRandom -v ./actors/plan/distribute -queries 10000 -seed $(SEED)

race:
	go test -race -tags $(TAGS) -timeout 20m ./actors/plan/... ./actors/sched ./mesh/... ./shuffle/... ./fs/... ./duck/vec

ci:
	.ci/run

generate:
	go generate -tags $(TAGS) ./...
