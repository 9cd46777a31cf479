package admin

import (
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep/internal/account"
)

// A list from a spreadsheet is read, whatever separates its cells, and every wrong line is named by its number.
func TestPeopleList(t *testing.T) {
	anna := account.NewAccount{Email: "anna@example.com", Name: "Anna Adams", Groups: []string{"staff", "wiki"}, Language: "de"}
	for name, text := range map[string]string{
		"commas":         "anna@example.com, Anna Adams, staff, wiki",
		"quotes":         `anna@example.com, "Anna Adams", "staff,wiki"`,
		"semicolons":     "anna@example.com;Anna Adams;staff;wiki",
		"several groups": "anna@example.com;Anna Adams;staff, wiki",
		"tabs":           "anna@example.com\tAnna Adams\tstaff\twiki\t",
		"header":         "E-Mail;Name;Groups\r\nanna@example.com;Anna Adams;staff;wiki\r\n",
		"byte order":     "\ufeffemail,name\n\nanna@example.com,Anna Adams,staff,wiki",
	} {
		people, lines, wrong := parsePeopleList(text, true, "de")
		if len(people) != 1 || len(wrong) != 0 || people[0].Email != anna.Email || people[0].Name != anna.Name ||
			!slices.Equal(people[0].Groups, anna.Groups) || people[0].Language != "de" {
			t.Errorf("%s: %+v, %+v", name, people, wrong)
		}
		if want := 1 + strings.Count(strings.Split(text, "anna")[0], "\n"); len(lines) != 1 || lines[0] != want {
			t.Errorf("%s: lines %v, want %d", name, lines, want)
		}
	}
	people, lines, wrong := parsePeopleList("anna@example.com\t\tstaff\n\nben@example.com, \"Ben\ncleo@example.com, Cleo, x\nemail", true, "")
	if len(people) != 3 || people[0].Name != "" || people[0].Groups[0] != "staff" || !slices.Equal(lines, []int{1, 4, 5}) {
		t.Errorf("people %+v on %v", people, lines)
	}
	if len(wrong) != 1 || wrong[0] != (lineProblem{3, `ben@example.com, "Ben`, "admin.invite.csv"}) {
		t.Errorf("wrong: %+v", wrong)
	}
	_, _, wrong = parsePeopleList("anna@example.com,,\nben@example.com,,staff", false, "")
	if len(wrong) != 1 || wrong[0].Line != 2 || wrong[0].Key != "admin.invite.nogroups" {
		t.Errorf("groups without the right: %+v", wrong)
	}
}

// Whatever a list has, each line is a person, wrong, or skipped, and named by its number.
func FuzzPeopleList(f *testing.F) {
	f.Add("email;name\nanna@example.com;Anna;staff,wiki\n")
	f.Add("anna@example.com, \"Anna \"\"Nan\"\" Adams\", staff\n\"open, x\n")
	f.Add("\ufeffa\tb\tc\r\n\x00,;\t")
	f.Fuzz(func(t *testing.T, text string) {
		people, lines, wrong := parsePeopleList(text, true, "en")
		last, most := 0, strings.Count(text, "\n")+1
		for _, line := range lines {
			if line <= last || line > most {
				t.Fatalf("lines %v of %d", lines, most)
			}
			last = line
		}
		for _, one := range wrong {
			if slices.Contains(lines, one.Line) || one.Line < 1 || one.Line > most {
				t.Fatalf("wrong %+v beside the lines %v", one, lines)
			}
		}
		if len(people) != len(lines) || len(people)+len(wrong) > most {
			t.Fatalf("%d people on %d lines, %d wrong", len(people), len(lines), len(wrong))
		}
	})
}
