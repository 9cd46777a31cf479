package admin

import (
	"context"
	"encoding/csv"
	"slices"
	"strings"

	"twostep.example/twostep/internal/account"
)

// parsePeopleList parses a list with a person on each line: an address, a name, and groups. Lines are CSV, separated by
// commas, semicolons or tabs, as spreadsheets save and copy them; a first line that names the columns is skipped. Each line
// is parsed by itself, so a quotation mark that is not closed hides no other line. It returns the line of each person.
func parsePeopleList(text string, groups bool, language string) (people []account.NewAccount, lines []int, wrong []lineProblem) {
	number, begun := 0, false
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		record, err := parseLine(line)
		isHeader := !begun && err == nil && slices.Contains(headers, strings.ToLower(record[0]))
		begun = true
		if isHeader {
			continue
		}
		if err != nil {
			wrong = append(wrong, lineProblem{number, line, "admin.invite.csv"})
			continue
		}
		n := account.NewAccount{Email: record[0], Language: language}
		if len(record) > 1 {
			n.Name = record[1]
		}
		for _, cell := range record[min(len(record), 2):] {
			for group := range strings.SplitSeq(cell, ",") { // a cell may have several
				if group = strings.TrimSpace(group); group != "" {
					n.Groups = append(n.Groups, group)
				}
			}
		}
		if len(n.Groups) > 0 && !groups {
			wrong = append(wrong, lineProblem{number, n.Email, "admin.invite.nogroups"})
		}
		people, lines = append(people, n), append(lines, number)
	}
	return people, lines, wrong
}

// headers are how the column of addresses is named in the first line of a list.
var headers = []string{
	"email", "e-mail", "mail", "email address", "e-mail address", "address", "e-mail-adresse", "emailadresse", "adresse",
}

// parseLine returns the fields of a line, at least one.
func parseLine(line string) ([]string, error) {
	in := csv.NewReader(strings.NewReader(line))
	in.Comma, in.FieldsPerRecord = separator(line), -1
	in.TrimLeadingSpace = in.Comma != '\t' // it would skip an empty cell
	record, err := in.Read()
	for i := range record {
		record[i] = strings.TrimSpace(record[i])
	}
	return record, err
}

// separator returns the first separator of a line that is not in quotation marks.
func separator(line string) rune {
	quoted := false
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ';' || c == '\t'):
			return c
		}
	}
	return ','
}

// maxOpenInvitations is how many invitations the preview of a list looks through.
const maxOpenInvitations = 20_000

// preview says who of these people has an invitation whose link works.
func (s *Handlers) preview(ctx context.Context, people []account.NewAccount) (rows []previewRow, err error) {
	index := map[string]int{}
	for i, n := range people {
		rows = append(rows, previewRow{NewAccount: n})
		if email, err := account.ParseEmail(n.Email); err == nil { // all of them are valid
			index[email] = i
		}
	}
	for after, read := (account.InvitationCursor{}), 0; read < maxOpenInvitations; {
		list, err := s.Accounts.ListInvitations(ctx, after, exportPage)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			i, ok := index[one.Email]
			if ok && one.State(s.Pages.CurrentTime()) == account.InvitationPending {
				rows[i].Again = true
			}
			after = one.Cursor()
		}
		if read += len(list); len(list) < exportPage {
			break
		}
	}
	return rows, nil
}
