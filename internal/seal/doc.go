// Package seal protects secrets: keys, encryption at rest, password hashes, tokens. It knows no
// HTTP and no SQL.
//
//	random tokens        NewToken, NewLinkToken      stored as HashToken
//	secrets needed back  KeyRing.Seal, KeyRing.Open  bound to their row
//	short secrets        KeyRing.MAC, VerifyMAC      a plain hash could be reversed
//	passwords            PasswordHasher              Argon2id, bounded in time and memory
package seal
