package weir

import (
	"errors"
	"fmt"
)

// ErrTooLarge is what a message fails with that is too large for a queue and cannot be split: one status, say, that names
// some thousand tables. It is not tried again.
var ErrTooLarge = errors.New("too large for a queue")

// Splits what does not fit into so many bytes into several messages of the same kind. Each has a part of the list, and all else.
// The coordinator takes statuses and spans in any number of messages; of an opening it has to know how many there are.
func split(kind Kind, d *document, limit int) ([][]byte, error) {
	whole := d.body()
	if len(whole) <= limit {
		return [][]byte{whole}, d.err()
	}
	var parts [][]byte
	var err error
	switch kind {
	case BlockStatus:
		parts, err = splitList(d, fBlockStatuses, limit)
	case HeartBeat:
		// Not all statuses are in a part: it is not complete.
		parts, err = splitList(d.with(fComplete, false), fStatuses, limit)
	case Registration:
		parts, err = splitList(d, fSpans, limit)
	case Opening:
		parts, err = splitOpening(d, limit)
	default:
		err = tooLarge(kind, len(whole), limit)
	}
	if err == nil {
		err = d.err()
	}
	return parts, err
}

func tooLarge(what any, size, limit int) error {
	return fmt.Errorf("%v of %d bytes, where %d fit: %w", what, size, limit, ErrTooLarge)
}

func splitList(d *document, list field, limit int) ([][]byte, error) {
	return splitInto(d, list, d.list(list), limit)
}

func splitInto(d *document, list field, all []*document, limit int) ([][]byte, error) {
	rest := d.with(list, true)
	// A name, brackets and a comma, or a tag and a length.
	const around = 48
	size := len(rest.body()) + around
	var parts [][]byte
	var part []*document
	room := limit - size
	for _, one := range all {
		bytes := len(one.body()) + 12
		if bytes > limit-size {
			return nil, tooLarge("one entry of "+list.name, bytes+size, limit)
		}
		if bytes > room {
			parts, part, room = append(parts, rest.with(list, true, part...).body()), nil, limit-size
		}
		part, room = append(part, one), room-bytes
	}
	return append(parts, rest.with(list, true, part...).body()), nil
}

// An opening is split by tables. A part has the schemas of its tables, and of each mode that is opened one schema at least:
// a part without one would not open that mode.
func splitOpening(d *document, limit int) ([][]byte, error) {
	modes := []field{fSchemas, fRedoSchemas}
	bare := d
	var all []entry
	for mode, f := range modes {
		bare = bare.with(f, true)
		for index, schema := range d.list(f) {
			empty := schema.with(fTables, true)
			tables := schema.list(fTables)
			if len(tables) == 0 {
				all = append(all, entry{mode, index, empty, nil})
			}
			for _, table := range tables {
				all = append(all, entry{mode, index, empty, table})
			}
		}
	}
	size := len(bare.body()) + 96
	for mode, f := range modes {
		for _, one := range all {
			if one.mode == mode {
				size += len(one.schema.body()) + len(f.name)
				break
			}
		}
	}
	var parts [][]byte
	var part []entry
	room := limit - size
	for _, one := range all {
		bytes := one.bytes(part)
		if bytes > room && len(part) > 0 {
			parts, part, room = append(parts, opening(bare, modes, all, part)), nil, limit-size
			bytes = one.bytes(nil)
		}
		if bytes > room {
			return nil, tooLarge("one table of an opening", bytes+size, limit)
		}
		part, room = append(part, one), room-bytes
	}
	if len(all) == 0 {
		return nil, tooLarge("an opening without tables", size, limit)
	}
	return append(parts, opening(bare, modes, all, part)), nil
}

// A table of a schema, or a schema that has none.
type entry struct {
	mode, index   int
	schema, table *document
}

func (e entry) sameSchema(other entry) bool { return e.mode == other.mode && e.index == other.index }

// What it adds to a part that ends with the entries before it.
func (e entry) bytes(before []entry) int {
	size := 0
	if e.table != nil {
		size = len(e.table.body()) + 12
	}
	if len(before) == 0 || !before[len(before)-1].sameSchema(e) {
		size += len(e.schema.body()) + 32
	}
	return size
}

func opening(bare *document, modes []field, all, part []entry) []byte {
	for mode, f := range modes {
		var schemas []*document
		for from := 0; from < len(part); {
			one, to := part[from], from
			var tables []*document
			for ; to < len(part) && part[to].sameSchema(one); to++ {
				if part[to].table != nil {
					tables = append(tables, part[to].table)
				}
			}
			if one.mode == mode {
				schemas = append(schemas, one.schema.with(fTables, true, tables...))
			}
			from = to
		}
		for _, one := range all {
			if one.mode == mode && len(schemas) == 0 {
				schemas = append(schemas, one.schema)
			}
		}
		bare = bare.with(f, true, schemas...)
	}
	return bare.body()
}
