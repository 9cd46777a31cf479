package policy

import "slices"

// Preset is a list of settings that a standard asks for.
type Preset struct {
	Name     string
	Title    string
	Settings []PresetSetting
}

// PresetSetting is one setting of a preset and where the standard asks for it.
type PresetSetting struct {
	Key, Value string
	Source     string // what it says, in our words
	URL        string // where it says so; "": nowhere in public
}

const (
	urlOSF  = "https://softwaredevelopers.ato.gov.au/operational_framework"
	urlDSP  = "https://www.dspanz.org/industry-standards/dsp-operational-framework/osf-for-cloud-products/"
	urlNIST = "https://pages.nist.gov/800-63-4/sp800-63b.html"
	urlPCI  = "https://www.pcisecuritystandards.org/document_library/"
)

// Presets returns all presets.
func Presets() []Preset {
	return []Preset{
		{"ato-osf", "Operational Security Framework of the Australian Taxation Office, for software with tax, accounting, payroll or " +
			"superannuation data", []PresetSetting{
			{KeyTrust, "23h", "Authentication: a remember-me function is limited to less than 24 hours", urlDSP},
			{KeyAbsolute, "24h", "Authentication: a temporary credential belongs to one device and expires within 24 hours",
				urlDSP},
			{KeyRefresh, "24h", "Authentication: a token belongs to one device and expires within 24 hours", urlDSP},
			{KeyIdle, "30m", "Authentication: a session is locked after 30 minutes without use", urlOSF},
			{keyAuditDays, "366", "Audit logging: success and failure of sign-ins are kept for at least 12 months; this server " +
				"keeps them for 366 days or more in any case", urlDSP},
		}},
		{"nist-aal2", "NIST SP 800-63B-4, authentication assurance level 2", []PresetSetting{
			{KeyTrust, "off", "Section 2.2: both factors are verified in every authentication", urlNIST},
			{KeyAbsolute, "24h", "Section 2.2.3: authenticate again after at most 24 hours", urlNIST},
			{KeyIdle, "1h", "Section 2.2.3: authenticate again after at most 1 hour without activity", urlNIST},
			{KeyRefresh, "24h", "Section 2.2.3: as for sessions, so that an app does not outlive them", urlNIST},
			{KeyMethods, "totp,sms,recovery", "Section 3.1.3: codes by email are not used for out-of-band authentication",
				urlNIST},
		}},
		{"pci-dss", "PCI DSS 4.0.1, for access to cardholder data", []PresetSetting{
			{KeyTrust, "off", "Requirement 8.4.2: multi-factor authentication for all access into the cardholder data environment",
				urlPCI},
			{KeyIdle, "15m", "Requirement 8.2.8: authenticate again after more than 15 minutes without activity", urlPCI},
			{keyAuditDays, "366", "Requirement 10.5.1: audit logs are kept for at least 12 months; this server keeps them for 366 " +
				"days or more in any case", urlPCI},
		}},
	}
}

// keyAuditDays is a setting of the site, not of a rule.
const keyAuditDays = "audit.days"

// FindPreset returns the preset with this name; ok is false if there is none.
func FindPreset(name string) (p Preset, ok bool) {
	all := Presets()
	i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return all[i], true
}

func presetNames() (names []string) {
	for _, p := range Presets() {
		names = append(names, p.Name)
	}
	return names
}

// rule returns the settings of the preset as a rule.
func (p Preset) rule() (r Rule) {
	for _, s := range p.Settings {
		if s.Key == keyAuditDays {
			continue
		}
		if err := r.Set(s.Key, s.Value); err != nil {
			panic("policy: preset " + p.Name + ": " + s.Key + " " + err.Error())
		}
	}
	return r
}
