package weir

import (
	"bytes"
	"encoding/json"
	"slices"
)

// JSON with members in the order of their names.
func sorted(body []byte) []byte {
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		panic(err)
	}
	written, _ := json.Marshal(prune(tree))
	return written
}

// False is what is absent: the binary form cannot tell them apart.
func prune(tree any) any {
	switch value := tree.(type) {
	case map[string]any:
		for name, one := range value {
			if one == false {
				delete(value, name)
			} else {
				value[name] = prune(one)
			}
		}
	case []any:
		for index, one := range value {
			value[index] = prune(one)
		}
	}
	return tree
}

// The binary form with fields in the order of their numbers, in every message that these tests have. Text is none.
func canonical(body []byte) []byte {
	fields, err := readFields(body)
	if err != nil {
		return body
	}
	slices.SortStableFunc(fields, func(a, b wireField) int { return a.number - b.number })
	var all []byte
	for _, one := range fields {
		if one.kind == wireBytes {
			one.raw = appendBytesField(nil, one.number, canonical(one.bytes))
		}
		all = append(all, one.raw...)
	}
	return bytes.Clone(all)
}
