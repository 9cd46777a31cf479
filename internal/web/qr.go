package web

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quietZone is the white border that scanners need, in modules (ISO/IEC 18004 6.3.8).
const quietZone = 4

// qrCode is a QR code to draw: a square of Size modules, and the SVG path of the dark ones.
type qrCode struct {
	Size int
	Path string
}

// drawQR encodes text. Each run of dark modules in a row is one rectangle of the path.
func drawQR(text string) (qrCode, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return qrCode{}, fmt.Errorf("web: qr: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, run, run)
				x += run
			}
		}
	}
	return qrCode{code.Size + 2*quietZone, path.String()}, nil
}
