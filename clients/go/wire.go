package weir

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// One field of a message in the binary form, as it stands there.
type wireField struct {
	number int
	kind   int // the wire type
	value  uint64
	bytes  []byte // of wire type 2
	raw    []byte // tag and value: what is written again
}

const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
	wireFixed4 = 5
)

const maxFieldNumber = 1<<29 - 1

var errTruncated = errors.New("it ends in the middle of a field")

// Fields of a message in their order. What it gives are slices of `body`.
func readFields(body []byte) ([]wireField, error) {
	var fields []wireField
	for rest := body; len(rest) > 0; {
		field, length, err := readField(rest)
		if err != nil {
			return nil, fmt.Errorf("not a protobuf message at byte %d of %d: %w", len(body)-len(rest), len(body), err)
		}
		fields, rest = append(fields, field), rest[length:]
	}
	return fields, nil
}

func readField(from []byte) (wireField, int, error) {
	tag, at, err := readVarint(from)
	if err != nil {
		return wireField{}, 0, err
	}
	number := tag >> 3
	if number == 0 || number > maxFieldNumber {
		return wireField{}, 0, fmt.Errorf("%d is no field number", number)
	}
	field := wireField{number: int(number), kind: int(tag & 7)}
	var length int
	switch field.kind {
	case wireVarint:
		if field.value, length, err = readVarint(from[at:]); err != nil {
			return wireField{}, 0, err
		}
	case wireFixed8:
		length = 8
	case wireFixed4:
		length = 4
	case wireBytes:
		size, prefix, err := readVarint(from[at:])
		if err != nil {
			return wireField{}, 0, err
		}
		at += prefix
		// Compared before it is converted: a size above the largest int must not turn negative.
		if size > uint64(len(from)-at) {
			return wireField{}, 0, errTruncated
		}
		length = int(size)
		field.bytes = from[at : at+length : at+length]
	default:
		return wireField{}, 0, fmt.Errorf("wire type %d is not of proto3", field.kind)
	}
	if length > len(from)-at {
		return wireField{}, 0, errTruncated
	}
	end := at + length
	field.raw = from[:end:end]
	return field, end, nil
}

func readVarint(from []byte) (uint64, int, error) {
	value, length := binary.Uvarint(from)
	if length == 0 {
		return 0, 0, errTruncated
	}
	if length < 0 {
		return 0, 0, errors.New("a number has more than 64 bits")
	}
	return value, length, nil
}

func appendBytesField(to []byte, number int, content []byte) []byte {
	to = binary.AppendUvarint(to, uint64(number)<<3|wireBytes)
	to = binary.AppendUvarint(to, uint64(len(content)))
	return append(to, content...)
}
