package weir

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
)

// Messages for tests in both encodings, written by code that shares nothing with what reads them: numbers and names are said
// here once more, from the schema.
type member struct {
	number int
	name   string
	value  any // uint64, bool, enum, string, msg, []msg
}
type msg []member
type enum struct {
	number int
	name   string
}

func (m msg) json() []byte {
	written, err := json.Marshal(m.tree())
	if err != nil {
		panic(err)
	}
	return written
}

func (m msg) tree() map[string]any {
	tree := map[string]any{}
	for _, one := range m {
		switch value := one.value.(type) {
		case uint64:
			tree[one.name] = strconv.FormatUint(value, 10)
		case enum:
			tree[one.name] = value.name
		case msg:
			tree[one.name] = value.tree()
		case []msg:
			list := []any{}
			for _, element := range value {
				list = append(list, element.tree())
			}
			tree[one.name] = list
		default:
			tree[one.name] = value
		}
	}
	return tree
}

func (m msg) protobuf() []byte {
	var to []byte
	number := func(of int, value uint64) {
		to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(of)<<3), value)
	}
	bytes := func(of int, value []byte) {
		to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(of)<<3|2), uint64(len(value)))
		to = append(to, value...)
	}
	for _, one := range m {
		switch value := one.value.(type) {
		case uint64:
			number(one.number, value)
		case bool:
			if value {
				number(one.number, 1)
			}
		case enum:
			number(one.number, uint64(value.number))
		case string:
			bytes(one.number, []byte(value))
		case msg:
			bytes(one.number, value.protobuf())
		case []msg:
			for _, element := range value {
				bytes(one.number, element.protobuf())
			}
		}
	}
	return to
}

func (m msg) in(encoding Encoding) []byte {
	if encoding == Protobuf {
		return m.protobuf()
	}
	return m.json()
}

var (
	waiting = enum{1, "WAITING"}
	done    = enum{3, "DONE"}
	write   = enum{0, "Write"}
	pass    = enum{1, "Pass"}
	all     = enum{0, "All"}
	schema  = enum{1, "DB"}
	byName  = enum{2, "Normal"}
)

func aFeed(low uint64) msg {
	return msg{{1, "high", uint64(7)}, {2, "low", low}, {3, "name", "orders"}}
}

func dispatcher(low uint64) msg { return msg{{1, "high", uint64(1) << 63}, {2, "low", low}} }

func dispatchers(lows ...uint64) []msg {
	var list []msg
	for _, low := range lows {
		list = append(list, dispatcher(low))
	}
	return list
}

func stateOf(stage enum, key eventKey) msg {
	return msg{{1, "IsBlocked", true}, {2, "BlockTs", key.commitTs}, {7, "IsSyncPoint", key.isSyncPoint}, {8, "stage", stage}}
}

func statusOf(stage enum, key eventKey, lows ...uint64) []msg {
	var list []msg
	for _, low := range lows {
		list = append(list, msg{{1, "ID", dispatcher(low)}, {2, "state", stateOf(stage, key)}})
	}
	return list
}

func reportOf(statuses ...msg) msg {
	return msg{{1, "changefeedID", aFeed(1)}, {2, "blockStatuses", statuses}}
}

func toNames(lows ...uint64) msg {
	return msg{{1, "InfluenceType", byName}, {2, "DispatcherIDs", dispatchers(lows...)}}
}

func toAll() msg { return msg{{1, "InfluenceType", all}, {4, "excludeDispatcherId", msg{}}} }

func toSchema(low uint64) msg { return msg{{1, "InfluenceType", schema}, {3, "SchemaID", low}} }

func actionOf(kind enum, key eventKey) msg {
	return msg{{1, "action", kind}, {2, "CommitTs", key.commitTs}, {3, "IsSyncPoint", key.isSyncPoint}}
}

func told(to, action msg) msg { return msg{{1, "influencedDispatchers", to}, {2, "action", action}} }

func responseOf(epoch uint64, statuses ...msg) msg {
	return msg{{1, "changefeedID", aFeed(1)}, {2, "dispatcherStatuses", statuses}, {4, "maintainerEpoch", epoch}}
}
