package admin

import (
	"net/http"
	"strings"
)

type settingsPage struct {
	frame
	Sections []settingSection
	MayTry   bool // a policy, see policy.go
}

// settingSection are the settings whose names start with the same word.
type settingSection struct {
	Name     string // "": the others
	Settings []Setting
}

// showSettings shows what is in force and where it was set.
func (s *Handlers) showSettings(w http.ResponseWriter, r *http.Request, who operator) error {
	p := settingsPage{frame: who.frame(r, "settings"), Sections: sectionsOf(s.Settings)}
	p.MayTry = s.ParsePolicy != nil && who.may(operatorsOnly)
	return s.Pages.Render(w, r, newView("settings", "admin.settings.title", p))
}

func sectionsOf(settings []Setting) (list []settingSection) {
	for _, one := range settings {
		name, _, ok := strings.Cut(one.Name, ".")
		if !ok {
			name = ""
		}
		if last := len(list) - 1; last < 0 || list[last].Name != name {
			list = append(list, settingSection{Name: name})
		}
		last := &list[len(list)-1]
		last.Settings = append(last.Settings, one)
	}
	return list
}
