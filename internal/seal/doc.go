// Package seal protects secrets: keys, encryption at rest, password hashes, tokens.
// It knows no HTTP and no SQL, and it does not decide who may come in: it only says
// whether a secret opens, matches or is good enough.
//
//	random     Token, LinkToken, Digits      shown once, then kept only as Hash or MAC
//	needed back  Keys.Seal, Keys.Open        bound to the name of their place
//	compared     Keys.MAC, Keys.SameMAC      short secrets that a plain hash would give away
//	passwords    Acceptable, Passwords       argon2id, bounded in time and memory
package seal
