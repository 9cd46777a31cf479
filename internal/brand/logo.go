package brand

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/png"
)

const (
	// MaxLogoBytes is the largest logo file.
	MaxLogoBytes = 64 << 10
	maxPNGPixels = 1024 // of each side
	minPNGPixels = 16

	typePNG = "image/png"
	typeSVG = "image/svg+xml"
)

// Logo is a checked image file.
type Logo struct {
	ContentType   string // image/png or image/svg+xml
	Data          []byte
	Width, Height float64 // pixels of a PNG, units of an SVG
}

// ParseLogo checks an image of at most MaxLogoBytes: a PNG of 16 to 1024 pixels a side, or an SVG that is a picture
// only (see checkSVG). Its error says what is wrong.
func ParseLogo(data []byte) (*Logo, error) {
	if len(data) > MaxLogoBytes {
		return nil, fmt.Errorf("the file is larger than %d KB", MaxLogoBytes>>10)
	}
	if bytes.HasPrefix(data, []byte("\x89PNG")) {
		return parsePNG(data)
	}
	if !bytes.Contains(data, []byte("<svg")) && !bytes.Contains(data, []byte(":svg")) {
		return nil, errors.New("the file is neither SVG nor PNG")
	}
	width, height, err := checkSVG(data)
	if err != nil {
		return nil, fmt.Errorf("the SVG file %w", err)
	}
	return &Logo{typeSVG, data, width, height}, nil
}

func parsePNG(data []byte) (*Logo, error) {
	// The size comes first: decoding takes memory for every pixel.
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the PNG file cannot be read: %w", err)
	}
	if min(c.Width, c.Height) < minPNGPixels || max(c.Width, c.Height) > maxPNGPixels {
		return nil, fmt.Errorf("the PNG file has %d × %d pixels, want %d to %d on each side",
			c.Width, c.Height, minPNGPixels, maxPNGPixels)
	}
	if _, err := png.Decode(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("the PNG file cannot be read: %w", err)
	}
	return &Logo{typePNG, data, float64(c.Width), float64(c.Height)}, nil
}

// maxMarkRatio is the width of a logo by its height up to which it is a mark without the name.
const maxMarkRatio = 2

// HasName reports whether the logo is so wide that it is taken to hold the name of the site. Then the name is not shown
// beside it.
func (l *Logo) HasName() bool { return l.Width > maxMarkRatio*l.Height }

// Ext returns the extension of a file name.
func (l *Logo) Ext() string {
	if l.ContentType == typePNG {
		return ".png"
	}
	return ".svg"
}

// Hash returns a hash of the file, for its name.
func (l *Logo) Hash() string {
	sum := sha256.Sum256(l.Data)
	return hex.EncodeToString(sum[:8])
}

// Fit returns the size at which the logo fits into a box, not enlarged beyond its height.
func (l *Logo) Fit(width, height int) (w, h int) {
	scale := min(float64(width)/l.Width, float64(height)/l.Height)
	return max(1, int(l.Width*scale+0.5)), max(1, int(l.Height*scale+0.5))
}
