package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tables of a file are read with their lines, by name, also names with spaces and capitals.
func TestParsePolicy(t *testing.T) {
	text := "site = \"x\"\n[policy]\ntrust = \"14d\"\n[policy.group.\"Wiki editors\"]\nsession.idle = \"30m\"\n" +
		"[policy.app.payroll.session]\nabsolute = \"8h\"\n[smtp]\nhost = \"x\"\n[policy.app.payroll]\nmethods = [\"totp\", \"sms\"]\n"
	p, err := parsePolicy("dir/t.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	editors, payroll := p.Groups["Wiki editors"], p.Apps["payroll"]
	if p.All.Trust != 14*24*time.Hour || p.All.Sources["trust"] != "t.toml:3" || editors.Idle != 30*time.Minute ||
		editors.Sources["session.idle"] != "t.toml:5" || payroll.Absolute != 8*time.Hour ||
		strings.Join(payroll.Methods, " ") != "totp sms" || payroll.Sources["methods"] != "t.toml:11" {
		t.Errorf("%+v", p)
	}
}

// A mistake in a table names its line, its key and what is wanted.
func TestParsePolicyNamesMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"[policy.group.a]\ntrust = 14":                 `t.toml:2: policy.group.a.trust wants text in quotes`,
		"[policy.group.a]\ntrust = \"soon\"":           `t.toml:2: policy.group.a.trust is "soon", want a time like 30d`,
		"[policy.group.a]\ncolor = \"red\"":            `t.toml:2: policy.group.a.color is unknown, want one of preset, trust`,
		"[policy.app.a]\nmethods = [1]":                `t.toml:2: policy.app.a.methods wants a list of text in quotes`,
		"[policy.group]\nfinance = { trust = \"1h\" }": `t.toml:2: policy.group.finance is no section`,
		"policy = 1":                           `t.toml:1: policy is no value: write the section [policy]`,
		"policy = { trust = \"23h\" }":         `t.toml:1: policy is no value: write the section [policy]`,
		"x = 1\nPolicy = \"off\"":              `t.toml:2: policy is no value: write the section [policy]`,
		"[policy]\nmethods = []":               `t.toml:2: policy.methods is empty, so nobody could sign in`,
		"[policy]\nmethods = \"\"":             `t.toml:2: policy.methods is empty, so nobody could sign in`,
		"[policy.group.a]\nmethods = [\" \"]":  `t.toml:2: policy.group.a.methods is empty, so nobody could sign in`,
		"[[policy.group.a]]\ntrust = \"1h\"":   `t.toml:1: [[policy.group.a]] is a list, want [policy.group.a]`,
		"[policy.group.a]\nrequire = \"soon\"": `t.toml:2: policy.group.a.require is "soon", want a day like 2027-03-01`,
	} {
		if _, err := parsePolicy("t.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Without trusted devices, by the setting or by a preset, the addresses of a proxy matter to none.
func TestTrustIsOffByAPreset(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "trust = \"off\"": false, "preset = \"nist-aal2\"": false, "preset = \"pci-dss\"\ntrust = \"7d\"": false,
		"preset = \"ato-osf\"": true, "trust = \"7d\"": true,
	} {
		p, err := parsePolicy("", []byte("[policy]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		s := settings{PublicURL: "https://signin.example.com", policy: p}
		if s.lacksTrustedProxies() != want {
			t.Errorf("%q: %t, want %t", text, !want, want)
		}
	}
}

// The text of the operators' page, which has no name, and the file of policy try are refused likewise.
func TestPolicyTryRefusesMistakes(t *testing.T) {
	for _, text := range []string{"policy = 1", "policy = { trust = \"23h\" }", "[policy]\nmethods = []"} {
		if _, err := parsePolicy("", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%q on the page: %v", text, err)
		}
		file := filepath.Join(t.TempDir(), "stricter.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&policyTryCommand{File: file}).Run(t.Context(), console{}, &settingSources{})
		if wrong := (usageError{}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "stricter.toml:") {
			t.Errorf("%q by the command: %v", text, err)
		}
	}
}

// The names of sections are read in any case, as those of other settings; the names of groups are not.
func TestPolicySectionsInAnyCase(t *testing.T) {
	p, err := parsePolicy("t.toml", []byte("[Policy.Group.Editors]\nTrust = \"23h\"\n"))
	if rule := p.Groups["Editors"]; err != nil || rule.Sources["trust"] != "t.toml:2" {
		t.Errorf("%+v, %v", p, err)
	}
}
