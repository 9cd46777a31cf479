package main

import (
	"fmt"
	"io"
	"os"

	"twostep.example/twostep"
)

// brandSettings are how pages and mails look.
type brandSettings struct {
	Logo     string `toml:"logo" placeholder:"FILE" help:"Logo at the head of pages: an SVG or PNG file of at most 64 KB. Mails show a PNG only."`
	MailLogo string `toml:"mail_logo" placeholder:"FILE" help:"Logo at the head of mails: a PNG file of at most 64 KB. Default: the logo, if it is a PNG."`
	Color    string `toml:"color" placeholder:"#RRGGBB" help:"Color of buttons and links. Its lightness is changed where text would be hard to read."`
	Support  string `toml:"support" placeholder:"ADDRESS" help:"Where people get help: an email address, or a URL that starts with https:// or mailto:."`
	Footer   string `toml:"footer" placeholder:"TEXT" help:"Last lines of every mail, like 'Example Ltd, 1 High Street, London'."`
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
