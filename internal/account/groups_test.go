package account

import (
	"slices"
	"strings"
	"testing"
)

// The names of groups are those of other programs.
func TestValidateGroup(t *testing.T) {
	for _, name := range []string{
		"staff", "wiki.editors", "Domain Users", "Vertrieb-Süd", "Grafana Admins", "system:masters", "/team/ops",
		"営業部", strings.Repeat("ü", 128),
	} {
		if err := ValidateGroup(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "want 1 to 128 characters", strings.Repeat("a", 129): "want 1 to 128 characters", "a,b": "comma",
		" staff": "space", "staff ": "space", "a\nb": "cannot be printed", "a\x00": "cannot be printed",
		"a\u202eb": "cannot be printed", "a\xff": "cannot be printed", "a\u00a0b": "cannot be printed",
	} {
		if err := ValidateGroup(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestSplitGroups(t *testing.T) {
	for names, want := range map[string][]string{"": nil, "staff": {"staff"}, "Domain Users,staff": {"Domain Users", "staff"}} {
		if got := SplitGroups(names); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}
