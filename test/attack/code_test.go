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
// count. A new caller must be added here on purpose, and a name that nothing has any more is an error.
func TestSecurityDecisionsHaveKnownCallers(t *testing.T) {
	t.Parallel()
	files := programFiles(t)
	for name, want := range map[string][]string{
		"CreateSession": {
			"internal/challenge/desk.go acceptDeskCode",
			"internal/challenge/prove.go saveSession", "internal/session/session.go Replace",
			"internal/signin/signin.go enterTrusted",
		},
		"saveSession":           {"internal/challenge/prove.go accept"},
		"enterTrusted":          {"internal/signin/signin.go continueWith"},
		"continueWith":          {"internal/signin/signin.go Start"},
		"Reauthenticate":        {"internal/challenge/prove.go saveSession"},
		"ReauthenticateSession": {"internal/session/session.go Reauthenticate"},
		"VerifyMAC":             {"internal/challenge/desk.go VerifyDeskCode", "internal/challenge/prove.go compare", "internal/web/return_target.go checkAccountTag"},
		"EqualTokenHash": {
			"internal/client/client.go MatchesSecret", "internal/device/device.go acceptsSecret",
			"internal/device/device.go rotateSecret", "internal/grant/auth_request.go GetAuthRequest",
		},
		"compare":        {"internal/challenge/prove.go Prove"},
		"Prove":          {"internal/challenge/attempt.go Verify", "internal/enroll/enroll.go Confirm"},
		"Unasked":        {"internal/enroll/enroll.go Confirm"},
		"accept":         {"internal/challenge/attempt.go Verify"},
		"Consume":        {"internal/challenge/prove.go accept", "internal/enroll/enroll.go Confirm"},
		"UseCode":        {"internal/challenge/prove.go Consume"},
		"PassChallenge":  {"internal/challenge/prove.go Consume"},
		"acceptDeskCode": {"internal/challenge/desk.go VerifyDeskCode"},
		"VerifyDeskCode": {"internal/deskcode/deskcode.go Use"},
		"UseDeskCode":    {"internal/challenge/desk.go acceptDeskCode"},
		"SpendDeskGuess": {"internal/challenge/desk.go guessDeskCode"},
		"ShowDeskCode":   {"internal/deskcode/deskcode.go reveal"},
		"CompleteSetup":  {"internal/enroll/enroll.go Confirm"},
		"GetForSetup":    {"internal/session/session.go Get", "internal/web/desk.go withSetup"},
		"VerifyPassword": {"internal/signin/signin.go Start"},
		"ChargePassword": {
			"internal/account/password.go VerifyFormerPassword", "internal/account/password.go VerifyPassword",
		},
		"SettlePassword": {"internal/account/password.go Settle", "internal/account/password.go reject"},
		"Settle": {
			"internal/account/password.go Release", "internal/challenge/attempt.go acceptPassword",
			"internal/signin/signin.go enterTrusted",
		},
		"VerifyFormerPassword": {"internal/enroll/undo.go Undo"},
		// Only a link and a proof of before the change, or the end of the freeze, undo a change.
		"UndoSince":       {"internal/deskcode/deskcode.go Cancel"},
		"undoChange":      {"internal/enroll/undo.go ApplyDueUndos", "internal/enroll/undo.go Undo", "internal/enroll/undo.go UndoSince"},
		"FinishUndo":      {"internal/enroll/undo.go endLaterLinks", "internal/enroll/undo.go resendUndoLinks", "internal/enroll/undo.go undoChange"},
		"CancelUndos":     {"internal/enroll/operator.go keepChanges"},
		"keepChanges":     {"internal/enroll/operator.go EndFreeze", "internal/enroll/undo.go Object"},
		"RequestUndo":     {"internal/enroll/undo.go freeze"},
		"verifyPassword":  {"internal/signin/signin.go ChangePassword", "internal/signin/signin.go StepUp"},
		"ComparePassword": {"internal/signin/signin.go verifyPassword"},
		"comparePassword": {
			"internal/account/password.go ComparePassword", "internal/account/password.go VerifyFormerPassword",
			"internal/account/password.go VerifyPassword",
		},
		"SpendGuess":       {"internal/challenge/prove.go countGuess"},
		"countGuess":       {"internal/challenge/prove.go Prove"},
		"Charge":           {"internal/challenge/prove.go countGuess"},
		"Refund":           {"internal/account/password.go VerifyPassword", "internal/challenge/prove.go refund"},
		"RefundChallenge":  {"internal/odds/budget.go refundChallenge"},
		"RenewGuessBudget": {"internal/odds/budget.go Renew"},
		"CreateBudgetEntry": {
			"internal/odds/budget.go Charge", "internal/odds/budget.go Renew", "internal/odds/desk.go ChargeDeskGuess", "internal/odds/share.go add",
		},
		"newEntry": {
			"internal/odds/budget.go Charge", "internal/odds/budget.go Refund", "internal/odds/desk.go ChargeDeskGuess", "internal/odds/mail.go SpendMail",
		},
		"SetPassword": {
			"internal/account/password.go ResetPassword", "internal/deskcode/deskcode.go removePassword", "internal/enroll/undo.go undoChange",
			"internal/signin/signin.go ChangePassword",
		},
		"SetCookie": {
			"internal/demo/signin.go setCookie", "internal/render/cookies.go Browser", "internal/render/cookies.go writeCookie",
			"internal/web/join.go startFirstSignIn", "internal/web/signin.go handleSignIn",
			"internal/web/stepup.go handleStepUp",
		},
		"setSessionCookie": {
			"internal/web/enroll.go handleConfirmFactor", "internal/web/enroll.go handleRemoveFactor",
			"internal/web/password.go handleChangePassword", "internal/web/second_step.go handleSecondStep",
		},
		"SetPersistentCookie": {
			"internal/admin/notice.go setNotice",
			"internal/forwardauth/callback.go handleCallback", "internal/forwardauth/callback.go redirectToSignIn",
			"internal/render/cookies.go SetCookie", "internal/render/cookies.go SetProbeCookie",
			"internal/web/inbox.go acceptInboxKey", "internal/web/settings.go handleDismissRecommendation",
			"internal/web/signin.go completeSignIn", "internal/web/signin.go rememberEmail",
			"internal/web/signin.go setSessionCookie", "internal/web/verify.go handleVerify",
		},
		"EndOthers": {
			"internal/enroll/enroll.go Confirm", "internal/enroll/enroll.go Remove",
			"internal/enroll/second_step.go SetEmailSecondStep", "internal/session/session.go CompleteSetup",
		},
		"CreateFactor":          {"internal/enroll/enroll.go save", "internal/enroll/undo.go restoreFactor"},
		"UseFactor":             {"internal/challenge/prove.go Consume"},
		"SetEmail":              {"internal/enroll/enroll.go saveEmail", "internal/enroll/undo.go undoChange"},
		"RecordDeliveryReceipt": {"receipts.go receipts"},
		// Whatever raises the epoch ends trust, and only a full proof begins it.
		"EndTrust": {
			"internal/account/operator.go setDisabled", "internal/account/password.go ResetPassword",
			"internal/challenge/desk.go acceptDeskCode", "internal/challenge/prove.go notifyBackupUsed", "internal/deskcode/deskcode.go Cancel", "internal/device/operator.go ForgetAllBy",
			"internal/device/trusted.go RevokeAllDevices", "internal/enroll/operator.go ConfirmProposedEmail",
			"internal/enroll/operator.go removeBy", "internal/enroll/setup.go KeepOnlyEmail", "internal/enroll/undo.go undoChange",
			"internal/session/operator.go EndAllBy", "internal/session/session.go EndAll", "internal/session/session.go EndOthers",
			"internal/signin/signin.go ChangePassword",
		},
		// A person changes the name of their own account only, and an operator that of any.
		"SetNames": {"internal/account/account.go ChangeNames", "internal/account/operator.go Rename"}, "ChangeNames": {"internal/web/name.go handleChangeName"},
		"UpdateTrustEpoch": {"internal/account/trust.go EndTrust"},
		"IncrementEpoch": {
			"internal/deskcode/deskcode.go removePassword", "internal/enroll/operator.go ConfirmProposedEmail", "internal/enroll/operator.go removeBy", "internal/enroll/setup.go KeepOnlyEmail",
			"internal/session/operator.go EndAllBy", "internal/session/session.go EndAll",
			"internal/session/session.go EndOthers", "internal/store/account_list.go DeleteAccount",
		},
		// What only an operator may do, by a command.
		"ChangeBy": {
			"internal/account/operator.go Delete", "internal/account/operator.go Disable", "internal/account/operator.go Enable",
			"internal/account/operator.go Rename", "internal/account/operator.go SetGroups", "internal/account/role.go ChangeRole",
			"internal/device/operator.go ForgetAllBy",
			"internal/device/operator.go ForgetBy", "internal/enroll/operator.go removeBy", "internal/session/operator.go EndAllBy",
			"internal/session/operator.go EndBy",
		},
		// Whatever changes an app tells all operators.
		"CreateClient": {"internal/client/clients.go Create", "internal/client/registration.go Register"},
		"UpdateClient": {"internal/client/clients.go change"}, "DeleteClient": {"internal/client/clients.go Delete"},
		"NotifyOperators": {"internal/client/clients.go alter"}, "alter": {"internal/client/clients.go Create", "internal/client/clients.go Delete", "internal/client/clients.go change"},
		"SendLinkBy": {"internal/account/operator.go SendPasswordReset", "internal/enroll/operator.go ProposeEmail"},
		"PermitSite": {"internal/client/clients.go alter"},
		"Permit": {"internal/account/operator.go ChangeBy", "internal/account/operator.go SendLinkBy",
			"internal/enroll/operator.go EndFreeze"},
		"DeleteAccount": {"cmd/twostep/account.go Run", "internal/account/operator.go Delete"},
		"saveEmail":     {"internal/enroll/enroll.go save", "internal/enroll/operator.go ConfirmProposedEmail"},
		// A code and a refresh token are used up in one place, and one place gives an app its code.
		"UseAuthorizationCode": {"internal/grant/grant.go verifyAndConsumeCode"},
		"UseToken":             {"internal/grant/token.go rotateRefreshToken"},
		"Authorize":            {"internal/oidc/continue.go authorized"},
		"IssueHostToken":       {"internal/forwardauth/callback.go handleCallback"},
		"SetDisabled":          {"internal/account/operator.go setDisabled"},
		"setDisabled":          {"internal/account/operator.go Disable", "internal/account/operator.go Enable"},
		"replaceRecords":       {"internal/device/device.go AddTrustedNetwork"},
		"CreateTrustedNetwork": {"internal/device/device.go replaceRecords"},
		"AddTrustedNetwork":    {"internal/challenge/prove.go registerDevice"},
		"UseTrust":             {"internal/signin/signin.go enterTrusted"},
		"UseTrustedNetwork":    {"internal/device/device.go UseTrust"},
		"registerDevice":       {"internal/challenge/prove.go accept"},
		"LowCost":              nil, // for tests alone
	} {
		if got := callers(files, name); !slices.Equal(got, want) {
			t.Errorf("%s is called by %q, want %q", name, got, want)
		}
	}
}

// shortHashes are the files that use SHA-1 because an outside format does: the list of known passwords,
// the codes of authenticator apps (RFC 6238) and the signature of one gateway.
var shortHashes = []string{"internal/check/methods.go", "internal/seal/blocklist.go", "factor/totp/hotp.go", "delivery/receipt.go"}

// macs are the files outside internal/seal that make keyed hashes, for formats of others.
var macs = []string{"internal/check/methods.go", "factor/totp/hotp.go", "delivery/receipt.go", "delivery/gateway_sigv4.go", "internal/webhook/message.go"}

// unsafeFiles compute password hashes in memory outside the heap.
var unsafeFiles = []string{"internal/seal/argon2_memory.go", "internal/seal/mapping_unix.go"}

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
			if name == "unsafe" && slices.Contains(unsafeFiles, path) {
				continue
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
	if got := callers(files, "AddInsecureBypassPattern"); !slices.Equal(got, []string{"twostep.go routes"}) { // for the routes that TestCrossSiteRoutesAreListed names
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

// builtQueries are the functions whose statement is not one constant, and why no input can be in it.
var builtQueries = map[string]string{
	"change":              "hands its statement on",
	"must":                "hands its statement on",
	"returning":           "hands its statement on",
	"endEpoch":            "hands its statement on",
	"endSession":          "hands its statement on",
	"ExecContext":         "hands its statement on",
	"QueryContext":        "hands its statement on",
	"QueryRowContext":     "hands its statement on",
	"endSessions":         "adds a condition, which its callers must give as a constant",
	"RevokeAll":           "each of a list of constants",
	"ListAccounts":        "adds conditions and orders from constants, and numbers of placeholders",
	"listFew":             "likewise",
	"withAccountKeys":     "hands its statement on",
	"DeleteAccount":       "each of a list of constants",
	"DeleteExpired":       "those of the function expired, which are constants",
	"ListAuditEvents":     "adds columns from a list of constants, and numbers of placeholders",
	"AddToCounters":       "adds numbers of placeholders",
	"CountFailedPassword": "adds numbers, and numbers of placeholders",
	"changeToken":         "hands its statement on",
	"DeleteClient":        "each of a list of constants",
	"migrate":             "one constant for each database",
}

// A query is put together from input.
func TestQueriesAreConstants(t *testing.T) {
	t.Parallel()
	files := programFiles(t)
	fixed, built := map[string]bool{}, map[string]bool{}
	for path, file := range files {
		if strings.HasPrefix(path, "internal/store/") { // where alone there are queries, as architecture_test.go sees to
			addConstants(file, fixed)
		}
	}
	for path, file := range files {
		if !strings.HasPrefix(path, "internal/store/") {
			continue
		}
		for _, decl := range file.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) < 2 {
					return true
				}
				s, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains(queryMethods, s.Sel.Name) {
					return true
				}
				query := call.Args[1]
				if s.Sel.Name == "endEpoch" || s.Sel.Name == "withAccountKeys" { // it takes the account first
					query = call.Args[2]
				}
				if isConstant(query, fixed) {
					return true
				}
				f, ok := decl.(*ast.FuncDecl)
				if !ok || builtQueries[f.Name.Name] == "" {
					t.Errorf("%s: %s with a query that is not fixed", path, s.Sel.Name)
				} else {
					built[f.Name.Name] = true
				}
				return true
			})
		}
	}
	for name := range builtQueries {
		if !built[name] {
			t.Errorf("the statements of %s are constants, or there is no such function", name)
		}
	}
}

// queryMethods take a statement, or a part of one.
var queryMethods = []string{
	"change", "must", "returning", "endEpoch", "withAccountKeys", "endSession", "endSessions", "changeToken", "ExecContext", "QueryContext", "QueryRowContext",
}

// addConstants adds the names of all constants of a file.
func addConstants(file *ast.File, to map[string]bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		d, ok := n.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			return true
		}
		for _, spec := range d.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				to[name.Name] = true
			}
		}
		return true
	})
}

// isConstant reports whether an expression is made of literals and names of constants.
func isConstant(e ast.Expr, fixed map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.Ident:
		return fixed[e.Name]
	case *ast.BinaryExpr:
		return e.Op == token.ADD && isConstant(e.X, fixed) && isConstant(e.Y, fixed)
	}
	return false
}
