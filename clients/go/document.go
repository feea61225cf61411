package weir

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
)

// A field as both encodings name it.
type field struct {
	number int
	name   string
	// The field's name in the schema, which proto3 JSON accepts too; empty: the same.
	original string
	// Names of the values, if it is an enum.
	values []string
}

// A message in either encoding, of which some fields are read and lists are replaced. What is not asked for is not looked at
// and stays as it is. The first thing that is wrong stays in `problem`; from then on everything is absent.
type document struct {
	binary  bool
	fields  []wireField                // of the binary form
	members map[string]json.RawMessage // of JSON
	problem *error
}

func readDocument(encoding Encoding, body []byte) *document {
	var problem error
	return newDocument(encoding == Protobuf, body, &problem)
}

func newDocument(binary bool, body []byte, problem *error) *document {
	d := &document{binary: binary, problem: problem}
	if binary {
		fields, err := readFields(body)
		d.fail(err)
		d.fields = fields
		return d
	}
	if err := json.Unmarshal(body, &d.members); err != nil {
		d.fail(fmt.Errorf("not a JSON object: %w", err))
	} else if d.members == nil {
		d.fail(fmt.Errorf("not a JSON object: %.20s", body))
	}
	return d
}

func (d *document) fail(err error) {
	if *d.problem == nil && err != nil {
		*d.problem = err
	}
}

func (d *document) err() error { return *d.problem }

func (d *document) member(f field) json.RawMessage {
	value, known := d.members[f.name]
	if !known && f.original != "" {
		value = d.members[f.original]
	}
	if bytes.Equal(value, []byte("null")) {
		return nil
	}
	return value
}

// A number; of several the last counts, absent is 0. A negative one comes as two's complement.
func (d *document) number(f field) uint64 {
	if d.binary {
		var value uint64
		for _, one := range d.fields {
			if one.number != f.number {
				continue
			}
			if one.kind != wireVarint {
				d.fail(fmt.Errorf("field %d (%s) is not a number", f.number, f.name))
				return 0
			}
			value = one.value
		}
		return value
	}
	raw := d.member(f)
	if raw == nil {
		return 0
	}
	content := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &content); err != nil {
			d.fail(fmt.Errorf("%s: %w", f.name, err))
			return 0
		}
		for index, name := range f.values {
			if name == content {
				return uint64(index)
			}
		}
	}
	if signed, err := strconv.ParseInt(content, 10, 64); err == nil {
		return uint64(signed)
	}
	value, err := strconv.ParseUint(content, 10, 64)
	if err != nil {
		d.fail(fmt.Errorf("%s is %.40q, and not a whole number of 64 bits", f.name, content))
	}
	return value
}

func (d *document) flag(f field) bool {
	if d.binary {
		return d.number(f) != 0
	}
	raw := d.member(f)
	if raw == nil {
		return false
	}
	var value bool
	if err := json.Unmarshal(raw, &value); err != nil {
		d.fail(fmt.Errorf("%s: %w", f.name, err))
	}
	return value
}

// A message in a field; nil: it is absent.
func (d *document) message(f field) *document {
	if !d.binary {
		if raw := d.member(f); raw != nil {
			return newDocument(false, raw, d.problem)
		}
		return nil
	}
	var body []byte
	known := false
	for _, one := range d.occurrences(f) {
		// A message that comes in pieces is the pieces joined, which is how proto3 merges them.
		body, known = append(body, one.bytes...), true
	}
	if !known {
		return nil
	}
	return newDocument(true, body, d.problem)
}

func (d *document) list(f field) []*document {
	var all []*document
	if d.binary {
		for _, one := range d.occurrences(f) {
			all = append(all, newDocument(true, one.bytes, d.problem))
		}
		return all
	}
	raw := d.member(f)
	if raw == nil {
		return nil
	}
	var members []json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		d.fail(fmt.Errorf("%s: %w", f.name, err))
	}
	for _, member := range members {
		all = append(all, newDocument(false, member, d.problem))
	}
	return all
}

func (d *document) occurrences(f field) []wireField {
	var found []wireField
	for _, one := range d.fields {
		if one.number != f.number {
			continue
		}
		if one.kind != wireBytes {
			d.fail(fmt.Errorf("field %d (%s) is not a message", f.number, f.name))
			return nil
		}
		found = append(found, one)
	}
	return found
}

// The same message with other messages in a field: none takes the field out.
func (d *document) with(f field, list bool, content ...*document) *document {
	changed := &document{binary: d.binary, problem: d.problem}
	if d.binary {
		for _, one := range d.fields {
			if one.number != f.number {
				changed.fields = append(changed.fields, one)
			}
		}
		for _, one := range content {
			body := one.body()
			raw := appendBytesField(nil, f.number, body)
			changed.fields = append(changed.fields, wireField{number: f.number, kind: wireBytes, bytes: body, raw: raw})
		}
		return changed
	}
	changed.members = make(map[string]json.RawMessage, len(d.members))
	for name, value := range d.members {
		if name != f.name && (f.original == "" || name != f.original) {
			changed.members[name] = value
		}
	}
	switch {
	case len(content) == 0:
	case list:
		all := []byte{'['}
		for index, one := range content {
			if index > 0 {
				all = append(all, ',')
			}
			all = append(all, one.body()...)
		}
		changed.members[f.name] = append(all, ']')
	default:
		changed.members[f.name] = content[0].body()
	}
	return changed
}

func (d *document) body() []byte {
	if d.binary {
		var all []byte
		for _, one := range d.fields {
			all = append(all, one.raw...)
		}
		return all
	}
	// Names and values come from what was read as JSON.
	all, err := json.Marshal(d.members)
	d.fail(err)
	return all
}

// InfluencedDispatchers that names dispatchers, written as the other one is.
func normal(like *document, dispatchers []id) *document {
	sort.Slice(dispatchers, func(a, b int) bool {
		x, y := dispatchers[a], dispatchers[b]
		return x.high < y.high || x.high == y.high && x.low < y.low
	})
	var body []byte
	if like.binary {
		body = append(body, byte(fInfluenceType.number)<<3|wireVarint, influenceNormal)
		for _, one := range dispatchers {
			inner := binary.AppendUvarint([]byte{byte(fHigh.number)<<3 | wireVarint}, one.high)
			inner = binary.AppendUvarint(append(inner, byte(fLow.number)<<3|wireVarint), one.low)
			body = appendBytesField(body, fInfluencedIDs.number, inner)
		}
	} else {
		body = []byte(`{"InfluenceType":"Normal","DispatcherIDs":[`)
		for index, one := range dispatchers {
			if index > 0 {
				body = append(body, ',')
			}
			body = fmt.Appendf(body, `{"high":"%d","low":"%d"}`, one.high, one.low)
		}
		body = append(body, `]}`...)
	}
	return newDocument(like.binary, body, like.problem)
}
