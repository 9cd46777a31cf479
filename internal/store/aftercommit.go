package store

// AfterCommit runs f once the transaction has been committed, and never if it was not.
// Outside of a transaction it runs f at once. f must not use the DB of the transaction.
func (db *DB) AfterCommit(f func()) {
	if db.writers != nil {
		f()
		return
	}
	db.after = append(db.after, f)
}

// committed runs what waited for the commit.
func (db *DB) committed() {
	for _, f := range db.after {
		f()
	}
}
