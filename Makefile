# make        what there is to make
# make build  the pondnode binary
# make test   every test (the README's second command)
# make race   the tests of packages that are light enough for the race detector
# make ci     what must pass before a change lands

TAGS := duckdb_arrow
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help build test race ci generate
help:
	@sed -n 's/^# //p' Makefile

build:
	go build -tags $(TAGS) -ldflags "-X main.version=$(VERSION)" -o pondnode ./cmd/pondnode

test:
	go test -tags $(TAGS) -p 1 -timeout 20m ./...

race:
	go test -race -tags $(TAGS) -timeout 20m ./actors/plan/... ./actors/sched ./mesh/... ./shuffle/... ./fs/... ./duck/vec

ci:
	.ci/run

generate:
	go generate -tags $(TAGS) ./...
