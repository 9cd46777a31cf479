// This file lets the compiler accept functions without a body: see argon2_memory.go.
