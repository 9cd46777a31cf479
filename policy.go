package twostep

import (
	"context"

	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/policy"
)

// Policy is how long trust, sessions and refresh tokens last, and which methods are allowed: for all people, by group
// and by app. Of all rules that apply to a sign-in, the strictest value of each setting counts. Policy.Check returns an
// error if a value is not allowed.
type Policy = policy.Policy

// PolicyRule is one rule of a Policy. A zero field sets nothing.
type PolicyRule = policy.Rule

// TrustOff is the value of PolicyRule.Trust that trusts no device.
const TrustOff = policy.Off

// PolicyError is returned by Policy.Check. It names the rule and the key.
type PolicyError = policy.Error

// PolicyLine is one setting in force and the rules that set it.
type PolicyLine = policy.Line

// PolicyPreset is a list of settings that a standard asks for, each with its source.
type PolicyPreset = policy.Preset

// PolicyPresets returns all presets, for PolicyRule.Preset.
func PolicyPresets() []PolicyPreset { return policy.Presets() }

// PolicyPreview is what the sign-ins of the last 60 days would have been under another policy.
type PolicyPreview = directory.Preview

// PreviewPolicy decides the kept sign-ins of the last 60 days again, under another policy. It changes nothing. Where a
// person would have been asked for a code and was not, the person is taken to have entered it and to have trusted the
// device again. It returns a *PolicyError if the policy is not valid.
func (s *Server) PreviewPolicy(ctx context.Context, p Policy) (PolicyPreview, error) {
	return s.directory.Preview(ctx, p)
}
