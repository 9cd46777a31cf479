package attack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// programFiles are the files of the program itself, without tests and what serves them.
func programFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, folder := range []string{"../../test", "../../build", "../../tools", "../../internal/store/storetest", "../../.git"} {
			if d.IsDir() && path == folder {
				return fs.SkipDir
			}
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files[strings.TrimPrefix(filepath.ToSlash(path), "../../")], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		return err
	})
	if err != nil || len(files) < 40 {
		t.Fatal(len(files), err)
	}
	return files
}

// callers returns the functions that call something of this name, as "file Function".
func callers(files map[string]*ast.File, name string) (all []string) {
	for path, file := range files {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == name {
					all = append(all, path+" "+f.Name.Name)
				}
				return true
			})
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Another place creates sessions, compares codes or checks passwords without what the known places
// count. A new caller must be added here on purpose.
func TestSecurityDecisionsHaveKnownCallers(t *testing.T) {
	t.Parallel()
	files := programFiles(t)
	for name, want := range map[string][]string{
		"AddSession":    {"internal/signin/challenge.go enter", "internal/signin/session.go carryOn", "internal/signin/trusted.go enterTrusted"},
		"enterTrusted":  {"internal/signin/signin.go Begin"},
		"ProveSession":  {"internal/signin/challenge.go enter"},
		"SameMAC":       {"internal/signin/challenge.go compare"},
		"SameHash":      {"internal/device/device.go current", "internal/device/device.go turn", "internal/grant/app.go Secret"},
		"compare":       {"internal/signin/challenge.go prove"},
		"accept":        {"internal/signin/challenge.go Verify"},
		"CheckPassword": {"internal/signin/signin.go Begin"},
		"SamePassword":  {"internal/signin/password.go ChangePassword", "internal/signin/stepup.go StepUp"},
		"samePassword":  {"internal/account/password.go CheckPassword", "internal/account/password.go SamePassword"},
		"debit":         {"internal/ledger/ledger.go Debit", "internal/ledger/ledger.go Succeed", "internal/ledger/send.go Send", "internal/signin/challenge.go prove"},
		"SetPassword":   {"internal/account/notice.go Undo", "internal/account/password.go Reset", "internal/signin/password.go ChangePassword"},
		"SetCookie":     {"internal/demo/signin.go setCookie", "internal/forwardauth/enter.go enter", "internal/page/cookies.go put", "internal/web/enroll.go confirmDraft", "internal/web/enroll.go removeFactor", "internal/web/password.go changePassword", "internal/web/signin.go letIn", "internal/web/signin.go signIn", "internal/web/stepup.go stepUp"},
		"carryOn":       {"internal/signin/password.go ChangePassword", "internal/signin/session.go rekey"},
		"rekey":         {"internal/signin/enroll.go Confirm", "internal/signin/enroll.go RemoveFactor"},
		"AddFactor":     {"internal/signin/enroll.go settle"},
		"UseFactor":     {"internal/signin/challenge.go use"},
		"SetEmail":      {"internal/account/notice.go Undo", "internal/signin/enroll.go settleEmail"},
		"KeepReceipt":   {"receipts.go receipts"},
		// Whatever raises the epoch ends trust, and only a full proof begins it.
		"EndTrust":   {"internal/account/notice.go Undo", "internal/account/password.go Reset", "internal/account/trust.go Disable", "internal/account/trust.go Distrust", "internal/device/owned.go ForgetDevices", "internal/signin/factors.go tellUsed", "internal/signin/password.go ChangePassword", "internal/signin/session.go SignOutEverywhere", "internal/signin/session.go rekey"},
		"RaiseEpoch": {"internal/signin/session.go SignOutEverywhere", "internal/signin/session.go rekey"},
		// A code and a refresh token are used up in one place, and one place gives an app its code.
		"UseGrant":    {"internal/grant/grant.go use"},
		"UseToken":    {"internal/grant/token.go rotate"},
		"Issue":       {"internal/oidc/continue.go allow"},
		"SetDisabled": {"internal/account/trust.go Disable"},
		"savePlaces":  {"internal/device/device.go AddPlace"},
		"AddPlace":    {"internal/device/device.go savePlaces", "internal/signin/trusted.go meet"},
		"meet":        {"internal/signin/challenge.go accept"},
		"LowCost":     nil, // for tests alone
	} {
		if got := callers(files, name); !slices.Equal(got, want) {
			t.Errorf("%s is called by %q, want %q", name, got, want)
		}
	}
}

// shortHashes are the files that use SHA-1 because an outside format does: the list of known passwords,
// the codes of authenticator apps (RFC 6238) and the signature of one gateway.
var shortHashes = []string{"internal/check/methods.go", "internal/seal/blocklist.go", "factor/totp/code.go", "delivery/receipt.go"}

// macs are the files outside internal/seal that make keyed hashes, for formats of others.
var macs = []string{"internal/check/methods.go", "factor/totp/code.go", "delivery/receipt.go", "delivery/gateway_sigv4.go"}

// The program uses a predictable random source, a weak hash, a comparison that depends on the content
// in time, a hole in the cross-site protection, or a template engine that does not escape.
func TestNoWeakPackagesOrComparisons(t *testing.T) {
	t.Parallel()
	files := programFiles(t)
	for path, file := range files {
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			switch name {
			case "math/rand", "math/rand/v2", "text/template", "crypto/md5", "crypto/des", "crypto/rc4", "net/http/pprof", "expvar", "unsafe":
				t.Errorf("%s imports %s", path, name)
			case "crypto/sha1":
				if !slices.Contains(shortHashes, path) && !strings.HasPrefix(path, "internal/seal/gen/") {
					t.Errorf("%s imports %s", path, name)
				}
			}
		}
	}
	if got := callers(files, "AddInsecureBypassPattern"); !slices.Equal(got, []string{"twostep.go door"}) { // for the routes that TestCrossSiteRoutesAreListed names
		t.Errorf("AddInsecureBypassPattern is called by %q", got)
	}
	for _, name := range []string{"AddTrustedOrigin", "InsecureSkipVerify", "HTMLAttr", "JSStr", "DeepEqual"} {
		if got := callers(files, name); got != nil {
			t.Errorf("%s is called by %q", name, got)
		}
	}
	for path, file := range files {
		if strings.HasPrefix(path, "internal/seal/") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && (x.Name == "bytes" && (s.Sel.Name == "Equal" || s.Sel.Name == "Compare") || x.Name == "hmac" && !(slices.Contains(macs, path) && (s.Sel.Name == "New" || s.Sel.Name == "Equal"))) {
					t.Errorf("%s compares with %s.%s", path, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
}

// A query is put together from input.
func TestQueriesAreConstants(t *testing.T) {
	t.Parallel()
	for path, file := range programFiles(t) {
		if !strings.HasPrefix(path, "internal/store/") { // where alone there are queries, as TestHouse sees to
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"change", "must", "ExecContext", "QueryContext", "QueryRowContext"}, s.Sel.Name) {
				return true
			}
			if inside, ok := call.Args[1].(*ast.Ident); ok && (inside.Name == "query" || inside.Name == "old") {
				return true // handed on, or one of a fixed list
			}
			if !isConstant(call.Args[1]) {
				t.Errorf("%s: %s with a query that is not fixed", path, s.Sel.Name)
			}
			return true
		})
	}
}

// isConstant reports whether an expression is made of literals and names of constants.
func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.Ident:
		return slices.Contains([]string{"accountColumns", "signInColumns", "sessionColumns", "challengeColumns", "decisionColumns", "placeColumns", "debitColumns", "codeColumns", "grantColumns", "tokenColumns", "liveSession", "sessionAndAccount", "liveGrant", "seen", "due"}, e.Name)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && isConstant(e.X) && isConstant(e.Y)
	}
	return false
}
