package seal

const (
	// DeskCodeLength is the length of a desk code: 10 characters of DeskCodeBits/10 bits.
	DeskCodeLength = 10
	// DeskCodeBits is the entropy of a desk code. It is less than the 64 bits of a secret that needs no rate limit (NIST
	// SP 800-63B-4 3.1.3.2), so guesses at it are counted.
	DeskCodeBits = 50
)

// NewDeskCode returns a random code that somebody reads to a person who types it.
func NewDeskCode() string { return newTypedCode(DeskCodeLength) }

// ParseDeskCode parses a desk code in any spacing and case. It reads O as 0, and I and L as 1. ok is false if typed is
// not a desk code.
func ParseDeskCode(typed string) (code string, ok bool) { return parseTypedCode(typed, DeskCodeLength) }

// FormatDeskCode formats a desk code in two groups, to be read and typed.
func FormatDeskCode(code string) string { return code[:5] + "-" + code[5:] }
