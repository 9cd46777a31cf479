package main

import "github.com/pelletier/go-toml/v2/unstable"

// tomlExpression is a table or a setting of a configuration file, with the line of its key.
type tomlExpression struct {
	kind  unstable.Kind
	path  []string // the parts of its key, as they are written, without those of the table that it is in
	line  int
	value *unstable.Node // of a KeyValue
}

// walkTOML calls f for each table and each setting of a text, in their order. It returns the error of the syntax.
func walkTOML(text []byte, f func(tomlExpression)) error {
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Comment {
			continue
		}
		one := tomlExpression{kind: e.Kind}
		for key := e.Key(); key.Next(); {
			if one.line == 0 {
				one.line = p.Shape(key.Node().Raw).Start.Line
			}
			one.path = append(one.path, string(key.Node().Data))
		}
		if len(one.path) == 0 {
			continue
		}
		if e.Kind == unstable.KeyValue {
			one.value = e.Value()
		}
		f(one)
	}
	return p.Error()
}
