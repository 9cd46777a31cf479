package main

import (
	"fmt"
	"io"
	"os"

	"twostep.example/twostep"
)

// brandSettings are how pages and mails look.
type brandSettings struct {
	Logo     string `toml:"logo" placeholder:"FILE" allowed:"an SVG or PNG file of up to 64 KB" help:"Show this logo at the head of pages, and in emails if it is a PNG" example:"logo.svg"`
	MailLogo string `toml:"mail_logo" placeholder:"FILE" fallback:"brand.logo, if it is a PNG" allowed:"a PNG file of up to 64 KB" help:"Show this logo at the head of emails" example:"logo.png"`
	Color    string `toml:"color" placeholder:"COLOR" fallback:"#2456c9" allowed:"#RRGGBB or #RGB" help:"Use this color for buttons and links; made lighter or darker where text would be hard to read" example:"#0a7d4f"`
	Support  string `toml:"support" placeholder:"CONTACT" allowed:"an email address, or an https:// or mailto: URL" help:"Tell people that they get help here" example:"help@example.com"`
	Footer   string `toml:"footer" placeholder:"TEXT" help:"End every email with these lines" example:"Example Ltd, 1 High Street, London"`
}

// load reads the files and checks everything, so that an error names the setting.
func (b brandSettings) load() (twostep.Brand, error) {
	look := twostep.Brand{Color: b.Color, Support: b.Support, Footer: b.Footer}
	var err error
	if look.Logo, err = readLogo("brand.logo", b.Logo); err != nil {
		return look, usageError{err}
	}
	if look.MailLogo, err = readLogo("brand.mail_logo", b.MailLogo); err != nil {
		return look, usageError{err}
	}
	if err := look.Validate(); err != nil {
		return look, usageError{fmt.Errorf("brand.%w", err)}
	}
	return look, nil
}

// maxLogoRead is enough to see that a file is too large.
const maxLogoRead = 1 << 20

// readLogo reads a file, "" for none.
func readLogo(key, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLogoRead))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", key, name)
	}
	return data, nil
}
