package main

// starts are those that must be refused, and databases that are not what they were.
var starts = []mutation{
	{test: "TestMissingDatabaseIsNotReplaced",
		what: "an empty database takes the place of one that is gone", edits: []edit{
			{"twostep.go", `MustExist: hasKeys`, `MustExist: hasKeys && o.Site == "-"`},
		}},
	{test: "TestMissingKeysAreNotReplaced",
		what: "new keys are left beside a database that they cannot open", edits: []edit{
			{"twostep.go", `if keys == nil && !isNew {`, `if keys == nil && !isNew && o.Site == "-" {`},
			{"twostep.go", `if created { // another`, `if created && o.Site == "-" { // another`},
		}},
	{test: "TestSecondServerOnOneFileIsRefused", what: "a file has any number of servers", edits: []edit{
		{"internal/store/store.go", `if c.Server && f.oneWriter {`, `if c.Server && f.oneWriter && c.URL == "-" {`},
	}},
	{test: "TestSecondServerOnOneFileIsRefused", what: "a link to the file is another file", edits: []edit{
		{
			"internal/store/sqlite.go",
			`if path, err = filepath.EvalSymlinks(path)`,
			`if _, err = filepath.EvalSymlinks(path)`,
		},
	}},
	{test: "TestDamagedDatabaseIsRefused", what: "nobody looks whether the file is damaged", edits: []edit{
		{"internal/store/store.go", `if db.exclusive {`, `if db.exclusive && c.URL == "-" {`},
	}},
	{test: "TestDamagedDatabaseIsRefused", what: "half a page is a page", edits: []edit{
		{"internal/store/sqlite.go", `info.Size()%size != 0`, `info.Size()%size < 0`},
	}},
	{test: "TestWrongClockIsRefused", what: "the clock may be wrong by hours", edits: []edit{
		{"clock.go", `case ahead.Abs() > maxClockError:`, `case ahead.Abs() > 1000*maxClockError:`},
	}},
	{test: "TestCodeWorksOnceBehindAPooler",
		what: "statements are prepared in a session that the pooler gives away", edits: []edit{
			{
				"internal/store/postgres.go",
				`DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe`,
				`DefaultQueryExecMode = pgx.QueryExecModeCacheStatement`,
			},
		}},
	{test: "TestUsedCodeAfterALaggingReplicaTakesOver",
		what: "attempts live on after a failover that lost their end", edits: []edit{
			{
				"internal/signin/wiring.go",
				`if err := tx.RevokeAll(ctx, string(trust.RevokedBackupRestored), now); err != nil {`,
				`if err := error(nil); err != nil {`,
			},
		}},
}
