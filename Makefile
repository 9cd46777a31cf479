# Git refuses to read a clone with another owner (a container, CI), so only release embeds the revision.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

POSTGRES = $${TMPDIR:-/tmp}/twostep-postgres-$$(id -u)-v1

# Tests of whole servers mostly wait for databases, emails and browsers.
PARALLEL = 4

# The race detector makes code about ten times slower, so it runs where goroutines share memory: in the
# packages that import sync or sync/atomic, and in the tests of a whole server that do something many
# times at once. In the other packages requests share data in the database only.
SYNC = '{{range .Imports}}{{if or (eq . "sync") (eq . "sync/atomic")}}{{println $$.ImportPath}}{{end}}{{end}}'

.PHONY: run test check mutants fuzz bench sim pages release clean

run: ## a demo server on http://127.0.0.1:8080
	go run ./cmd/twostep serve --demo

test: ## every test, on both databases; fuzz targets run on the inputs in the repository
	tools/install.sh
	go test -timeout 10m ./...
	go -C test test -count=1 -parallel $(PARALLEL) -timeout 20m ./...
	CGO_ENABLED=1 go test -race -timeout 10m $$(go list -f $(SYNC) ./... | sort -u)
	CGO_ENABLED=1 go -C test test -race -parallel $(PARALLEL) -timeout 10m -run AtOnce ./attack

check: ## format, vet, staticcheck, go.mod and the architecture; needs no database and no browser
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	go vet ./...
	go -C test vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	cd test && go tool -modfile=../tools/go.mod staticcheck ./...
	go mod verify
	go mod tidy -diff
	go -C test mod tidy -diff
	go test -count=1 -run TestArchitecture .
	@covered=$$(go test -count=1 -cover ./internal/trust); echo "$$covered"; case "$$covered" in *" 100.0%"*) ;; *) echo "trust: a branch is not tested"; exit 1;; esac

mutants: ## remove each protection and check that test/attack notices; 15 minutes
	nice go -C test run ./attack/mutants

FUZZTIME = 5m

fuzz: ## draw new inputs for every fuzz target, for FUZZTIME each
	tools/fuzz.sh $(FUZZTIME)

bench: ## measure the costs; prints a table and writes test/bench/latest.json
	go -C test run ./bench

sim: ## simulate three years of sign-ins, 300 times, with attackers and faults; a failed run says how to repeat it
	go -C test test -count=1 -timeout 3h -v ./sim -long

pages: ## render every page in every situation into build/pages, without a database
	mkdir -p build/pages
	TWOSTEP_PAGES=$(CURDIR)/build/pages go test -count=1 -run TestStorybook ./internal/web

release: ## build build/twostep, static and reproducible
	CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags "-s -w -buildid=" -o build/twostep ./cmd/twostep

clean: ## stop the PostgreSQL of the tests and remove build/
	@data="$(POSTGRES)/data"; \
	ctl=$$(ls /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | tail -n 1); \
	as=; [ "$$(id -u)" -ne 0 ] || as="runuser -u postgres --"; \
	if [ -e "$$data/postmaster.pid" ]; then (cd / && $$as $${ctl:-pg_ctl} -D "$$data" -m fast stop) || true; fi
	rm -rf build "$(POSTGRES)"

.PHONY: screenshot
screenshot: ## take docs/images/code.png from the demo; needs chromium
	go -C test run ./screenshot
