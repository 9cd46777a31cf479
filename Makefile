# Only release embeds the Git revision: Git refuses to read a clone of another owner (a container, CI).
export GOFLAGS := $(GOFLAGS) -buildvcs=false

POSTGRES = $${TMPDIR:-/tmp}/twostep-postgres-$$(id -u)-v1

# Tests of whole servers mostly wait for databases, emails and browsers.
PARALLEL = 4

# The race detector makes code about ten times slower. It runs on the packages that import sync or
# sync/atomic, and on the tests of a whole server that send requests at once. In the other packages,
# requests share data only in the database.
SYNC = '{{range .Imports}}{{if or (eq . "sync") (eq . "sync/atomic")}}{{println $$.ImportPath}}{{end}}{{end}}'

.PHONY: run docs test check mutants fuzz bench sim faults clients pages release clean

run: ## run a demo server on http://127.0.0.1:8080
	go run ./cmd/twostep serve --demo

docs: ## print the pages that the program makes; tests compare them
	go run ./cmd/twostep reference settings >docs/reference/settings.md
	go run ./cmd/twostep reference cli >docs/reference/cli.md
	go run ./cmd/twostep odds --page >docs/odds.md

test: ## run every test, on both databases; fuzz targets run on the inputs in the repository
	tools/install.sh
	tools/clients.sh quick
	go test -timeout 10m ./...
	go -C test test -count=1 -parallel $(PARALLEL) -timeout 20m ./...
	CGO_ENABLED=1 go test -race -timeout 20m $$(go list -f $(SYNC) ./... | sort -u)
	CGO_ENABLED=1 go -C test test -race -parallel $(PARALLEL) -timeout 10m -run AtOnce ./attack

check: ## check format, vet, staticcheck, go.mod and the architecture; needs no database and no browser
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

mutants: ## remove one protection at a time and check that test/attack notices; 15 minutes
	nice go -C test run ./attack/mutants

FUZZTIME = 5m

fuzz: ## run every fuzz target on new inputs, for FUZZTIME each
	tools/fuzz.sh $(FUZZTIME)

bench: ## measure the costs, also of a million accounts, print a table and write test/bench/latest.json; 40 minutes, QUICK=1: 5
	go -C test run ./bench $(if $(QUICK),-quick)

sim: ## simulate three years of sign-ins, 300 times, with attackers and faults; a failed run prints how to repeat it
	go -C test test -count=1 -timeout 3h -v ./sim -long

faults: ## sign people in through faults of servers, databases and mail, and write docs/explanation/reliability.md; 30 minutes
	go -C test test -count=1 -timeout 2h -v -run TestFaults ./faults -long

clients: ## install the software of others and sign in to each, by the guides in docs/guides/apps; prints a table
	tools/install.sh
	tools/clients.sh
	go -C test test -count=1 -parallel $(PARALLEL) -timeout 20m -v ./clients -all

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
