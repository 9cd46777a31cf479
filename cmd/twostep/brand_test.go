package main

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// The flags and variables reach the settings.
func TestBrandSettings(t *testing.T) {
	_, s := parseServe(t, map[string]string{"TWOSTEP_BRAND_SUPPORT": "help@example.com"},
		"--demo", "--brand-color", "#0a7d4f", "--brand-footer", "Example Ltd, London")
	if want := (brandSettings{Color: "#0a7d4f", Support: "help@example.com", Footer: "Example Ltd, London"}); s.Brand != want {
		t.Errorf("got %+v, want %+v", s.Brand, want)
	}
	got, err := s.Brand.load()
	if err != nil || got.Color != "#0a7d4f" || got.Footer != "Example Ltd, London" || got.Logo != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A wrong value is a usage error that names the setting and what is wrong with it.
func TestBrandSettingsAreChecked(t *testing.T) {
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 12">`
	for says, s := range map[string]brandSettings{
		"brand.logo: open ":                     {Logo: "no-such-file.svg"},
		"brand.logo: the SVG file has a script": {Logo: writeTempFile(t, svg+"<script/></svg>")},
		"brand.logo: the file is larger than 64 KB": {
			Logo: writeTempFile(t, svg+"<!--"+strings.Repeat("x", 64<<10)+"--></svg>")},
		"brand.mail_logo: it is not a PNG file": {MailLogo: writeTempFile(t, svg+"</svg>")},
		"brand.color: \"red\" is not a color":   {Color: "red"},
		"brand.support: \"me\" is neither":      {Support: "me"},
		"brand.footer: ":                        {Footer: "a\x00"},
	} {
		_, err := s.load()
		if err == nil || !strings.HasPrefix(err.Error(), says) || !errors.As(err, new(usageError)) {
			t.Errorf("got %v, want %q", err, says)
		}
		if s.Logo == "no-such-file.svg" && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	empty := writeTempFile(t, "")
	if _, err := (brandSettings{Logo: empty}).load(); err == nil || !strings.HasSuffix(err.Error(), "is empty") {
		t.Errorf("an empty file: %v", err)
	}
}
