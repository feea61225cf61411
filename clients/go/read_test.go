package weir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

type vector struct {
	Type, Note, Protobuf string
	JSON                 json.RawMessage `json:"json"`
}

func vectors(t testing.TB) []vector {
	text, err := os.ReadFile("testdata/heartbeatpb.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	return all
}

// What the vectors' JSON says, read by encoding/json.
type goID struct{ High, Low string }
type goState struct {
	IsBlocked, IsSyncPoint bool
	BlockTs, Stage         string
}
type goMessage struct {
	ChangefeedID  goID
	Mode          string
	BlockStatuses []struct {
		ID    goID
		State goState
	}
	DispatcherStatuses []struct {
		InfluencedDispatchers struct {
			InfluenceType string
			DispatcherIDs []goID
		}
		Action *struct {
			CommitTs    string
			IsSyncPoint bool
		}
	}
	Statuses []struct {
		ID              goID
		ComponentStatus string
	}
	Spans []struct {
		ID         goID
		BlockState *goState
	}
	MaintainerEpoch string
	Config          struct{ DispatcherID goID }
}

func u(text string) uint64 {
	if text == "" {
		return 0
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func (g goID) id() id { return id{u(g.High), u(g.Low)} }

func wantID(t *testing.T, what string, got *document, want goID) {
	t.Helper()
	if one, known := idOf(got); !known || one != want.id() {
		t.Errorf("%s: %v, want %v", what, one, want)
	}
}

func wantState(t *testing.T, got *document, want goState) {
	t.Helper()
	stage := fStage.values[got.number(fStage)]
	if stage == "NONE" {
		stage = ""
	}
	if got.flag(fIsBlocked) != want.IsBlocked || got.flag(fStateSync) != want.IsSyncPoint || got.number(fBlockTs) != u(want.BlockTs) || stage != want.Stage {
		t.Errorf("state %v, want %+v", got.fields, want)
	}
}

func TestReadsTheFieldsOfTheVectorsInBothEncodings(t *testing.T) {
	seen := map[string]int{}
	for _, one := range vectors(t) {
		binary, err := base64.StdEncoding.DecodeString(one.Protobuf)
		if err != nil {
			t.Fatal(err)
		}
		var want goMessage
		if err := json.Unmarshal(one.JSON, &want); err != nil {
			t.Fatal(err)
		}
		for encoding, body := range map[Encoding][]byte{Protobuf: binary, JSON: one.JSON} {
			d := readDocument(encoding, body)
			wantID(t, one.Note, d.message(fChangefeed), want.ChangefeedID)
			seen[one.Type]++
			switch Kind(one.Type) {
			case BlockStatus:
				statuses := d.list(fBlockStatuses)
				if len(statuses) != len(want.BlockStatuses) || d.number(fRequestMode) != u(want.Mode) {
					t.Fatalf("%s: %d statuses", one.Note, len(statuses))
				}
				for index, status := range statuses {
					wantID(t, one.Note, status.message(fStatusID), want.BlockStatuses[index].ID)
					wantState(t, status.message(fStatusState), want.BlockStatuses[index].State)
				}
			case HeartBeatResponse:
				statuses := d.list(fDispatcherStatuses)
				if len(statuses) != len(want.DispatcherStatuses) || d.number(fResponseEpoch) != u(want.MaintainerEpoch) || d.number(fResponseMode) != u(want.Mode) {
					t.Fatalf("%s: %d statuses", one.Note, len(statuses))
				}
				for index, status := range statuses {
					expected := want.DispatcherStatuses[index]
					ids := status.message(fInfluenced).list(fInfluencedIDs)
					if len(ids) != len(expected.InfluencedDispatchers.DispatcherIDs) {
						t.Fatalf("%s: %d ids", one.Note, len(ids))
					}
					for at, each := range ids {
						wantID(t, one.Note, each, expected.InfluencedDispatchers.DispatcherIDs[at])
					}
					kind := fInfluenceType.values[status.message(fInfluenced).number(fInfluenceType)]
					if kind != expected.InfluencedDispatchers.InfluenceType && !(kind == "All" && expected.InfluencedDispatchers.InfluenceType == "") {
						t.Errorf("%s: %s", one.Note, kind)
					}
					action := status.message(fAction)
					if (action == nil) != (expected.Action == nil) {
						t.Fatalf("%s: action %v", one.Note, action)
					}
					if action != nil && (action.number(fActionCommitTs) != u(expected.Action.CommitTs) || action.flag(fActionSync) != expected.Action.IsSyncPoint) {
						t.Errorf("%s: action %v", one.Note, action)
					}
				}
			case HeartBeat:
				statuses := d.list(fStatuses)
				if len(statuses) != len(want.Statuses) {
					t.Fatalf("%s: %d statuses", one.Note, len(statuses))
				}
				for index, status := range statuses {
					wantID(t, one.Note, status.message(fSpanStatusID), want.Statuses[index].ID)
					if state := fComponentState.values[status.number(fComponentState)]; state != want.Statuses[index].ComponentStatus && state != "Working" {
						t.Errorf("%s: %s", one.Note, state)
					}
				}
			case Registration:
				spans := d.list(fSpans)
				if len(spans) != len(want.Spans) || d.number(fRegistrationEpoch) != u(want.MaintainerEpoch) {
					t.Fatalf("%s: %d spans", one.Note, len(spans))
				}
				for index, span := range spans {
					wantID(t, one.Note, span.message(fSpanID), want.Spans[index].ID)
					state := span.message(fBlockState)
					if (state == nil) != (want.Spans[index].BlockState == nil) {
						t.Fatalf("%s: block state %v", one.Note, state)
					}
					if state != nil {
						wantState(t, state, *want.Spans[index].BlockState)
					}
				}
			case ScheduleDispatcher:
				wantID(t, one.Note, d.message(fConfig).message(fConfigID), want.Config.DispatcherID)
				if d.number(fScheduleEpoch) != u(want.MaintainerEpoch) {
					t.Error(one.Note)
				}
			case Opening:
				if d.number(fOpeningEpoch) != u(want.MaintainerEpoch) {
					t.Error(one.Note)
				}
			}
			if d.err() != nil {
				t.Errorf("%s %s: %v", one.Note, encoding, d.err())
			}
			if encoding == Protobuf && !bytes.Equal(d.body(), body) {
				t.Errorf("%s: written again it is another", one.Note)
			}
		}
	}
	for _, kind := range []Kind{BlockStatus, HeartBeatResponse, HeartBeat, Registration, ScheduleDispatcher, Opening} {
		if seen[string(kind)] == 0 {
			t.Errorf("no vector of %s", kind)
		}
	}
}

func TestZeroValuesTwoFormsAndPieces(t *testing.T) {
	nothing := readDocument(JSON, []byte(`{"action":null}`))
	if nothing.number(fResponseEpoch) != 0 || nothing.message(fAction) != nil || nothing.list(fStatuses) != nil || nothing.err() != nil {
		t.Error("absent", nothing.err())
	}
	for text, want := range map[string]uint64{
		`{"maintainerEpoch":"18446744073709551615"}`: 18446744073709551615,
		`{"maintainer_epoch":3}`:                     3,
		`{"maintainerEpoch":null}`:                   0,
	} {
		if d := readDocument(JSON, []byte(text)); d.number(fResponseEpoch) != want || d.err() != nil {
			t.Errorf("%s: %d %v", text, d.number(fResponseEpoch), d.err())
		}
	}
	if d := readDocument(JSON, []byte(`{"stage":3}`)); d.number(fStage) != stageDone {
		t.Error("an enum by its number")
	}
	// The last of several numbers counts; a message in two pieces is both.
	pieces := append(msg{{2, "action", actionOf(write, eventKey{5, false})}}.protobuf(), msg{{2, "action", msg{{2, "CommitTs", uint64(9)}, {3, "IsSyncPoint", true}}}}.protobuf()...)
	action := readDocument(Protobuf, pieces).message(fAction)
	if action.number(fActionCommitTs) != 9 || !action.flag(fActionSync) {
		t.Error("pieces", action.fields)
	}
}

func TestSaysWhatIsWrong(t *testing.T) {
	for text, encoding := range map[string]Encoding{
		"[]": JSON, "null": JSON, "": JSON, `{"changefeedID":5}`: JSON, `{"blockStatuses":{}}`: JSON,
		`{"changefeedID":{"high":"1.5"}}`: JSON, `{"changefeedID":{"high":"18446744073709551616"}}`: JSON,
		"\x0a\x05ab": Protobuf, "\x0b": Protobuf, "\x00\x01": Protobuf, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f": Protobuf,
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": Protobuf, "\x08\x01": Protobuf, "\x09\x01": Protobuf,
	} {
		d := readDocument(encoding, []byte(text))
		d.message(fChangefeed)
		if one := d.message(fChangefeed); one != nil {
			idOf(one)
		}
		d.list(fBlockStatuses)
		if d.err() == nil {
			t.Errorf("%q in %s is taken for a message", text, encoding)
		}
	}
}

func FuzzReadFields(f *testing.F) {
	for _, one := range vectors(f) {
		binary, _ := base64.StdEncoding.DecodeString(one.Protobuf)
		f.Add(binary)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := readFields(body)
		if err != nil {
			return
		}
		var again []byte
		for _, one := range fields {
			again = append(again, one.raw...)
			if one.number < 1 || one.number > maxFieldNumber {
				t.Errorf("field %d", one.number)
			}
		}
		if !bytes.Equal(again, body) {
			t.Errorf("%x was read as %x", body, again)
		}
	})
}
