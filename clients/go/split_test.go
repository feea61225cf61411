package weir

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const small = 4096

func parts(t *testing.T, kind Kind, encoding Encoding, message msg) []*document {
	t.Helper()
	bodies, err := split(kind, readDocument(encoding, message.in(encoding)), small)
	if err != nil {
		t.Fatal(err)
	}
	var all []*document
	for _, body := range bodies {
		if len(body) > small {
			t.Errorf("a part has %d bytes, %d fit", len(body), small)
		}
		d := readDocument(encoding, body)
		if feed, _ := idOf(d.message(fChangefeed)); feed.high != 7 {
			t.Error("a part is of no changefeed")
		}
		all = append(all, d)
	}
	if len(all) < 2 {
		t.Fatalf("%d parts: this shows nothing", len(all))
	}
	return all
}

func TestSplitsListsAndLosesNothing(t *testing.T) {
	const count = 700
	lows := make([]uint64, count)
	var spans, statuses []msg
	for index := range lows {
		lows[index] = uint64(index) + 1
		spans = append(spans, msg{{1, "ID", dispatcher(lows[index])}, {2, "SchemaID", uint64(3)}})
		statuses = append(statuses, msg{{1, "ID", dispatcher(lows[index])}, {3, "checkpointTs", uint64(5)}})
	}
	inBoth(t, func(g gated) {
		for kind, what := range map[Kind]struct {
			list, id field
			message  msg
		}{
			BlockStatus:  {fBlockStatuses, fStatusID, reportOf(statusOf(waiting, ddl, lows...)...)},
			HeartBeat:    {fStatuses, fSpanStatusID, msg{{1, "changefeedID", aFeed(1)}, {4, "statuses", statuses}, {5, "compeleteStatus", true}}},
			Registration: {fSpans, fSpanID, msg{{1, "changefeedID", aFeed(1)}, {2, "spans", spans}, {7, "maintainerEpoch", uint64(4)}}},
		} {
			next := uint64(1)
			for _, part := range parts(g.t, kind, g.encoding, what.message) {
				for _, one := range part.list(what.list) {
					if got, _ := idOf(one.message(what.id)); got.low != next {
						g.t.Fatalf("%s: dispatcher %d, want %d", kind, got.low, next)
					}
					next++
				}
				if kind == Registration && part.number(fRegistrationEpoch) != 4 {
					g.t.Error("a part has lost the epoch")
				}
				if kind == HeartBeat && part.flag(fComplete) {
					g.t.Error("a part says that it is complete")
				}
			}
			if next != count+1 {
				g.t.Errorf("%s: %d of %d", kind, next-1, count)
			}
		}
	})
}

func TestEveryPartOfAnOpeningOpensEachMode(t *testing.T) {
	tablesOf := func(schema, count int) []msg {
		var tables []msg
		for index := range count {
			tables = append(tables, msg{{1, "TableID", uint64(schema*10_000 + index)}, {2, "TableName", fmt.Sprintf("table_%d", index)}})
		}
		return tables
	}
	var schemas, redo []msg
	for index := range 120 {
		schemas = append(schemas, msg{{1, "SchemaID", uint64(index)}, {2, "SchemaName", fmt.Sprintf("schema_%d", index)}, {3, "Tables", tablesOf(index, index%7)}})
	}
	redo = append(redo, msg{{1, "SchemaID", uint64(500)}, {3, "Tables", tablesOf(500, 300)}})
	whole := msg{{1, "changefeedID", aFeed(1)}, {2, "tableTriggerEventDispatcherId", dispatcher(1)},
		{3, "schemas", schemas}, {4, "redoSchemas", redo}, {5, "maintainerEpoch", uint64(6)}}
	inBoth(t, func(g gated) {
		table, seen := field{number: 1, name: "TableID"}, map[uint64]int{}
		schemaID, named := field{number: 1, name: "SchemaID"}, map[uint64]bool{}
		for _, part := range parts(g.t, Opening, g.encoding, whole) {
			if part.number(fOpeningEpoch) != 6 || part.message(field{number: 2, name: "tableTriggerEventDispatcherId"}) == nil {
				g.t.Error("a part has lost the epoch or the table trigger")
			}
			for _, mode := range []field{fSchemas, fRedoSchemas} {
				of := part.list(mode)
				if len(of) == 0 {
					g.t.Errorf("a part opens no %s", mode.name)
				}
				for _, schema := range of {
					named[schema.number(schemaID)] = true
					for _, one := range schema.list(fTables) {
						if one.number(table)/10_000 != schema.number(schemaID) {
							g.t.Errorf("table %d in schema %d", one.number(table), schema.number(schemaID))
						}
						seen[one.number(table)]++
					}
				}
			}
		}
		want := 300
		for index := range 120 {
			want += index % 7
		}
		if len(seen) != want || len(named) != 121 {
			g.t.Errorf("%d tables of %d, %d schemas of 121", len(seen), want, len(named))
		}
		for which, times := range seen {
			if times != 1 {
				g.t.Errorf("table %d is in %d parts", which, times)
			}
		}
	})
}

func TestWhatFitsStaysWhole(t *testing.T) {
	inBoth(t, func(g gated) {
		body := reportOf(statusOf(waiting, ddl, 1, 2, 3)...).in(g.encoding)
		bodies, err := split(BlockStatus, readDocument(g.encoding, body), small)
		if err != nil || len(bodies) != 1 {
			g.t.Error(len(bodies), err)
		}
	})
}

func TestWhatCannotBeSplitSaysSo(t *testing.T) {
	long := strings.Repeat("x", small)
	inBoth(t, func(g gated) {
		for kind, message := range map[Kind]msg{
			BlockStatus: reportOf(msg{{1, "ID", dispatcher(1)}, {2, "state", msg{{9, "RouteTableAdmissions", []msg{{{1, "SourceSchemaName", long}}}}}}}),
			Opening:     {{1, "changefeedID", aFeed(1)}, {3, "schemas", []msg{{{3, "Tables", []msg{{{2, "TableName", long}}}}}}}},
		} {
			if bodies, err := split(kind, readDocument(g.encoding, message.in(g.encoding)), small); !errors.Is(err, ErrTooLarge) {
				g.t.Errorf("%s: %d parts, %v", kind, len(bodies), err)
			}
		}
	})
}
